//! The library: negotiation as a client, offers as an attacker, resumption, certificates.

use crate::server::{Answer, Server, Settings, self_signed};
use openssl::ssl::SslVersion;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use tokbind::binding;
use tokbind::http1::{self, Client};
use tokbind::tls::{self, Connector, ConnectorBuilder, Error, Identity, Offer, TlsConnection};
use token_binding::KeyParameters::{EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
use token_binding::{KeyPair, Preference, ProtocolVersion, Rejection, ServerFault};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn builder(server: &Server) -> ConnectorBuilder {
    Connector::builder().ca(server.certificate.clone())
}

fn connect(connector: &Connector, server: &Server) -> TlsConnection<tls::Blocking> {
    connector.connect(server.address, "localhost").unwrap()
}

#[test]
fn negotiates_each_of_the_key_parameters_and_signs_what_the_server_verifies() {
    for key_parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5] {
        let answer = Answer::Negotiate(Preference::new(&[key_parameters]).unwrap());
        let server = Server::start(Settings { answer, ..Settings::default() });
        let key = KeyPair::generate(key_parameters).unwrap();
        for version in VERSIONS {
            let connection = connect(&builder(&server).tls_version(version).build().unwrap(), &server);
            let negotiated = connection.negotiated().unwrap();
            assert_eq!(negotiated.key_parameters, key_parameters);
            assert_eq!(negotiated.version, ProtocolVersion::V1_0);
            assert_eq!(connection.reply().unwrap(), [1, 0, 1, key_parameters.code()]);
            let value = binding::field_value(&key, Some(&key), &connection.ekm().unwrap()).unwrap();
            let mut client = Client::new(connection);
            for _ in 0..2 {
                let response = client.get("/", "localhost", &[("Sec-Token-Binding", &value)]).unwrap();
                assert_eq!((response.status, response.text().as_str()), (200, "hello\n"));
            }
            for seen in server.seen() {
                assert!(seen.head.starts_with("GET / HTTP/1.1\r\nHost: localhost\r\n"));
                let verified = seen.verdict.unwrap().unwrap();
                assert_eq!(verified.provided.as_id().as_bytes(), key.id());
                assert_eq!(verified.referred.unwrap().as_id().as_bytes(), key.id());
            }
        }
    }
}

#[test]
fn a_message_of_another_connection_is_refused_there() {
    let server = Server::start(Settings::default());
    let connector = builder(&server).build().unwrap();
    let (first, second) = (connect(&connector, &server), connect(&connector, &server));
    let key = KeyPair::generate(EcdsaP256).unwrap();
    let value = binding::field_value(&key, None, &first.ekm().unwrap()).unwrap();
    Client::new(second).get("/", "localhost", &[("Sec-Token-Binding", &value)]).unwrap();
    assert_eq!(server.seen().remove(0).verdict, Some(Err(Rejection::InvalidSignature)));
}

#[test]
fn nothing_is_negotiated_unless_both_sides_want_it() {
    let server = Server::start(Settings::default());
    let silent = connect(&builder(&server).offer(Offer::None).build().unwrap(), &server);
    assert_eq!((silent.negotiated(), silent.reply()), (None, None));
    let server = Server::start(Settings { answer: Answer::Nothing, ..Settings::default() });
    let unheard = connect(&builder(&server).build().unwrap(), &server);
    assert_eq!((unheard.negotiated(), unheard.reply()), (None, None));
}

#[test]
fn a_server_that_breaks_the_rules_is_left_with_an_alert() {
    let faults = [
        (vec![1, 1, 1, 2], ServerFault::VersionTooHigh(ProtocolVersion { major: 1, minor: 1 })),
        (vec![1, 0, 2, 2, 1], ServerFault::SeveralKeyParameters(2)),
        (vec![1, 0, 1, 0], ServerFault::KeyParametersNotOffered(0)),
        (vec![1, 0, 1, 77], ServerFault::KeyParametersNotOffered(77)),
        (vec![1, 0, 0], ServerFault::Malformed(token_binding::MalformedExtension::EmptyList)),
    ];
    for (octets, expected) in faults {
        let server = Server::start(Settings { answer: Answer::Octets(octets), ..Settings::default() });
        for version in VERSIONS {
            let offer = Offer::Preference(Preference::new(&[EcdsaP256, Rsa2048Pss]).unwrap());
            let connector = builder(&server).offer(offer).tls_version(version).build().unwrap();
            match connector.connect(server.address, "localhost") {
                Err(Error::ServerFault(fault)) => assert_eq!(fault, expected),
                other => panic!("{expected:?}: {:?}", other.map(|connection| connection.reply())),
            }
            // unsupported_extension, or decode_error
            let alert = if matches!(expected, ServerFault::Malformed(_)) { 50 } else { 110 };
            assert_eq!(server.alert(), Some(alert), "{expected:?}");
        }
    }
}

#[test]
fn a_lower_version_is_no_fault_and_no_token_binding() {
    let answer = Answer::Octets(vec![0, 13, 1, 2]);
    let server = Server::start(Settings { answer, ..Settings::default() });
    let connection = connect(&builder(&server).build().unwrap(), &server);
    assert_eq!((connection.negotiated(), connection.reply()), (None, Some(vec![0, 13, 1, 2])));
}

#[test]
fn without_extended_master_secret_an_answer_is_a_fault() {
    let server = Server::start(Settings { extended_master_secret: false, ..Settings::default() });
    let tls12 = builder(&server).tls_version(SslVersion::TLS1_2);
    let fault = tls12.clone().build().unwrap().connect(server.address, "localhost");
    assert!(matches!(fault, Err(Error::ServerFault(ServerFault::NoExtendedMasterSecret))));
    let raw = tls12.offer(Offer::Raw(vec![1, 0, 1, 2])).build().unwrap();
    assert_eq!(connect(&raw, &server).negotiated(), None);
    // TLS 1.3 has no such thing.
    let tls13 = builder(&server).tls_version(SslVersion::TLS1_3).build().unwrap();
    assert!(connect(&tls13, &server).negotiated().is_some());
    // The client can go without it by itself.
    let server = Server::start(Settings::default());
    let without = builder(&server).tls_version(SslVersion::TLS1_2).extended_master_secret(false);
    let without = without.offer(Offer::None).build().unwrap();
    assert_eq!(connect(&without, &server).ssl().extms_support(), Some(false));
}

#[test]
fn an_unasked_answer_is_a_fault() {
    // An OpenSSL server cannot be made to do that, so this ServerHello is made by hand. See below.
    let hello =
        [&[3, 3], [7; 32].as_slice(), &[0, 0xc0, 0x2b, 0, 0, 13, 0xff, 1, 0, 1, 0, 0, 24, 0, 4, 1, 0, 1, 2]];
    let (address, server) = hello_server(&hello.concat());
    let connector = Connector::builder().insecure().offer(Offer::None).tls_version(SslVersion::TLS1_2);
    let refusal = connector.build().unwrap().connect(address, "localhost").err().unwrap();
    assert!(refusal.to_string().contains("bad extension"), "{refusal}");
    assert_eq!(server.join().unwrap(), [21, 3, 3, 0, 2, 2, 110]); // fatal, unsupported_extension
}

/// A ServerHello of TLS 1.2 with extended_master_secret and token_binding, but without renegotiation_info. Every OpenSSL
/// server sends the latter, so this one is made by hand.
pub fn hello_without_renegotiation_info() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let extensions: &[u8] = &[0, 23, 0, 0, 0, 24, 0, 4, 1, 0, 1, 2];
    hello_server(&[&[3, 3], [7; 32].as_slice(), &[0, 0xc0, 0x2b, 0, 0, 12], extensions].concat())
}

#[test]
fn a_server_without_renegotiation_info_is_left() {
    let (address, server) = hello_without_renegotiation_info();
    let connector = Connector::builder().insecure().tls_version(SslVersion::TLS1_2).build().unwrap();
    let refusal = connector.connect(address, "localhost").err().unwrap();
    assert!(refusal.to_string().contains("unsafe legacy renegotiation disabled"), "{refusal}");
    assert_eq!(server.join().unwrap(), [21, 3, 3, 0, 2, 2, 40]); // fatal, handshake_failure
}

/// A server that says this ServerHello and no more. What the client says to it comes out in the end.
fn hello_server(hello: &[u8]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 3, 0, length + 4, 2, 0, 0, length], hello].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut header = [0; 5];
        tcp.read_exact(&mut header).unwrap();
        let length = u16::from_be_bytes([header[3], header[4]]);
        tcp.read_exact(&mut vec![0; length.into()]).unwrap();
        tcp.write_all(&record).unwrap();
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer);
        answer
    });
    (address, server)
}

#[test]
fn an_attacker_may_offer_anything() {
    let server = Server::start(Settings::default());
    for version in VERSIONS {
        let builder = builder(&server).tls_version(version);
        let malformed = builder.clone().offer(Offer::Raw(vec![1, 0, 9, 2])).build().unwrap();
        let refusal = malformed.connect(server.address, "localhost").err().unwrap();
        assert_eq!(refusal.alert(), Some(50), "{refusal}"); // decode_error
        let future = builder.offer(Offer::Raw(vec![2, 0, 3, 200, 2, 201])).build().unwrap();
        let connection = connect(&future, &server);
        assert_eq!(connection.reply(), Some(vec![1, 0, 1, 2]));
        assert_eq!(connection.negotiated().unwrap().key_parameters, EcdsaP256);
    }
}

#[test]
fn sessions_are_resumed_and_negotiated_anew() {
    for (version, tickets) in
        [(SslVersion::TLS1_2, true), (SslVersion::TLS1_2, false), (SslVersion::TLS1_3, true)]
    {
        let server = Server::start(Settings { tickets, ..Settings::default() });
        let connector =
            builder(&server).tls_version(version).resumption(true).session_tickets(tickets).build().unwrap();
        let mut ekms = Vec::new();
        for resumed in [false, true, true] {
            let connection = connect(&connector, &server);
            assert_eq!(connection.resumed(), resumed, "{version:?} {tickets} {}", ekms.len());
            assert_eq!(connection.negotiated().unwrap().key_parameters, EcdsaP256);
            ekms.push(*connection.ekm().unwrap().as_bytes());
            Client::new(connection).get("/", "localhost", &[]).unwrap();
        }
        assert!(ekms[0] != ekms[1] && ekms[1] != ekms[2]);
        // Nothing of it is inherited from the session.
        let silent = connect(&connector.with_offer(Offer::None), &server);
        assert!(silent.resumed() && silent.negotiated().is_none());
        let other = Preference::new(&[Rsa2048Pss]).unwrap();
        let other = connect(&connector.with_offer(Offer::Preference(other)), &server);
        assert_eq!(other.negotiated().unwrap().key_parameters, Rsa2048Pss);
        // A connector that was not told to resume does not.
        let forgetful = builder(&server).tls_version(version).build().unwrap();
        for _ in 0..2 {
            let connection = connect(&forgetful, &server);
            assert!(!connection.resumed());
            Client::new(connection).get("/", "localhost", &[]).unwrap();
        }
    }
}

/// A session belongs to the client certificate that it was made with, and to the connector that made it.
#[test]
fn sessions_stay_with_their_connector() {
    let server = Server::start(Settings { ask_certificate: true, ..Settings::default() });
    for version in VERSIONS {
        let identities = ["a", "b"].map(|name| {
            let (certificate, key) = self_signed(name);
            Identity::new(certificate, key)
        });
        let builders =
            identities.clone().map(|identity| builder(&server).tls_version(version).identity(identity));
        let resuming = builders.clone().map(|builder| builder.resumption(true).build().unwrap());
        let fresh = builders.map(|builder| builder.build().unwrap());
        let shown = |connector: &Connector, resumed: bool| {
            let connection = connect(connector, &server);
            assert_eq!(connection.resumed(), resumed, "{version:?}");
            let certificate = connection.ssl().certificate().unwrap().to_der().unwrap();
            let ekm = *connection.ekm().unwrap().as_bytes();
            Client::new(connection).get("/", "localhost", &[]).unwrap();
            (certificate, ekm)
        };
        let mut ekms = Vec::new();
        for round in 0..3 {
            for (connectors, resumed) in [(&resuming, round > 0), (&fresh, false)] {
                for (connector, identity) in connectors.iter().zip(&identities) {
                    let (certificate, ekm) = shown(connector, resumed);
                    assert_eq!(certificate, identity.certificate().to_der().unwrap());
                    ekms.push(ekm);
                }
            }
        }
        ekms.sort_unstable();
        ekms.dedup();
        assert_eq!(ekms.len(), 12, "each connection has keying material of its own");
    }
}

#[test]
fn the_server_is_checked_and_the_client_shows_its_certificate() {
    let server = Server::start(Settings { ask_certificate: true, ..Settings::default() });
    let stranger = Connector::builder().ca(self_signed("localhost").0).build().unwrap();
    assert!(matches!(stranger.connect(server.address, "localhost"), Err(Error::Handshake { .. })));
    let trusting = builder(&server).build().unwrap();
    assert!(matches!(trusting.connect(server.address, "other.test"), Err(Error::Handshake { .. })));
    assert!(matches!(trusting.connect(server.address, "a b"), Err(Error::Name(_))));
    let (certificate, key) = self_signed("client");
    let pem = [certificate.to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap()].concat();
    let identity = Identity::from_pem(&pem, &pem).unwrap();
    assert_eq!(identity.certificate().to_der().unwrap(), certificate.to_der().unwrap());
    let anyone = Connector::builder().insecure().identity(identity).alpn(&[tls::HTTP_2, tls::HTTP_1_1]);
    let connection = anyone.build().unwrap().connect(server.address, "other.test").unwrap();
    assert_eq!(connection.alpn(), None);
    assert_eq!(connection.ssl().servername(openssl::ssl::NameType::HOST_NAME), Some("other.test"));
    let unfit = Identity::new(certificate, self_signed("x").1);
    assert!(matches!(Connector::builder().identity(unfit).build(), Err(Error::Settings(_))));
}

#[test]
fn addresses_are_names_too() {
    for host in ["127.0.0.1", "::1"] {
        let server = Server::start(Settings { host: host.into(), ..Settings::default() });
        let connector = builder(&server).build().unwrap();
        assert!(connector.connect(server.address, host).is_ok());
        assert!(connector.connect(server.address, "::2").is_err());
        assert!(connector.connect(server.address, "127.0.0.2").is_err());
    }
}

#[test]
fn a_silent_peer_is_waited_for_only_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connector = Connector::builder().timeout(std::time::Duration::from_millis(50)).build().unwrap();
    let silence = connector.connect(listener.local_addr().unwrap(), "localhost");
    assert!(matches!(silence, Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut));
    let server = Server::start(Settings::default());
    let mut client = Client::new(connector_of(&server).connect(server.address, "localhost").unwrap());
    assert!(matches!(client.receive(false), Err(http1::Error::Io(_))));
}

fn connector_of(server: &Server) -> Connector {
    builder(server).timeout(std::time::Duration::from_millis(200)).build().unwrap()
}
