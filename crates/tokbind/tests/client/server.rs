//! A TLS server in this process, which answers extension 24 as RFC 8472 wants it or as an attacker would.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    ExtensionContext, HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef,
    SslVerifyMode, SslVersion,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokbind::tls::alert_received;
use token_binding::{
    ClientOffer, Handshake, Negotiated, Preference, ProtocolVersion, Rejection, Verified, negotiate,
};

/// What the server saw of one request.
pub struct Seen {
    pub head: String,
    pub verdict: Option<Result<Verified, Rejection>>,
}

/// How the server answers the extension.
#[derive(Clone)]
pub enum Answer {
    /// As RFC 8472 §3 says, with this preference.
    Negotiate(Preference),
    /// These octets, to everyone who offers.
    Octets(Vec<u8>),
    /// Not at all.
    Nothing,
}

pub struct Settings {
    pub answer: Answer,
    pub versions: (SslVersion, SslVersion),
    pub extended_master_secret: bool,
    pub tickets: bool,
    pub http2: bool,
    pub ask_certificate: bool,
    /// The response to every request, octet by octet.
    pub response: Vec<u8>,
    pub host: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer: Answer::Negotiate(Preference::default()),
            versions: (SslVersion::TLS1_2, SslVersion::TLS1_3),
            extended_master_secret: true,
            tickets: true,
            http2: false,
            ask_certificate: false,
            response: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n".into(),
            host: "localhost".into(),
        }
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub certificate: X509,
    seen: Arc<Mutex<Vec<Seen>>>,
    alerts: Receiver<Option<u8>>,
}

impl Server {
    /// Starts a server. Its threads end with the test's process.
    pub fn start(settings: Settings) -> Self {
        let (certificate, key) = self_signed(&settings.host);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (alert, alerts) = mpsc::channel();
        let server = Self { address, certificate, seen: Arc::default(), alerts };
        let context = server_context(&settings, &server.certificate, &key);
        let seen = Arc::clone(&server.seen);
        let settings = Arc::new(settings);
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let (context, alert) = (context.clone(), alert.clone());
                let (seen, settings) = (Arc::clone(&seen), Arc::clone(&settings));
                thread::spawn(move || match settings.http2 {
                    true => crate::http2::serve(&context, tcp.unwrap(), &seen),
                    false => serve(&context, tcp.unwrap(), &settings, &seen, &alert),
                });
            }
        });
        server
    }

    /// The alert with which a client ended a handshake, once that has happened.
    pub fn alert(&self) -> Option<u8> {
        self.alerts.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

pub fn self_signed(host: &str) -> (X509, PKey<Private>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", host).unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let mut names = SubjectAlternativeName::new();
    let names = if host.parse::<std::net::IpAddr>().is_ok() { names.ip(host) } else { names.dns(host) };
    let names = names.build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

fn server_context(settings: &Settings, certificate: &X509, key: &PKey<Private>) -> SslContext {
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    context.set_certificate(certificate).unwrap();
    context.set_private_key(key).unwrap();
    context.set_min_proto_version(Some(settings.versions.0)).unwrap();
    context.set_max_proto_version(Some(settings.versions.1)).unwrap();
    context.set_session_id_context(b"tokbind").unwrap();
    if !settings.extended_master_secret {
        context.set_options(SslOptions::from_bits_retain(1)); // SSL_OP_NO_EXTENDED_MASTER_SECRET
    }
    if !settings.tickets {
        context.set_options(SslOptions::NO_TICKET);
    }
    if settings.ask_certificate {
        context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    }
    if settings.http2 {
        context.set_alpn_select_callback(|_, offered| {
            openssl::ssl::select_next_proto(b"\x02h2", offered).ok_or(openssl::ssl::AlpnError::NOACK)
        });
    }
    let answer = settings.answer.clone();
    let offered = Ssl::new_ex_index::<Vec<u8>>().unwrap();
    context
        .add_custom_ext(
            24,
            ExtensionContext::CLIENT_HELLO
                | ExtensionContext::TLS1_2_SERVER_HELLO
                | ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS,
            move |ssl, message, _| {
                let Some(offered) = ssl.ex_data(offered) else { return Ok(None) };
                let handshake = Handshake {
                    tls13: message.contains(ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS),
                    extended_master_secret: true,
                    renegotiation_info: true,
                    early_data_accepted: false,
                };
                Ok(match &answer {
                    Answer::Nothing => None,
                    Answer::Octets(octets) => Some(octets.clone()),
                    Answer::Negotiate(preference) => ClientOffer::parse(offered)
                        .ok()
                        .and_then(|offer| negotiate(&offer, preference, handshake).ok())
                        .map(|negotiated| negotiated.extension_data().to_vec()),
                })
            },
            move |ssl, _, octets, _| {
                ClientOffer::parse(octets).map_err(|_| openssl::ssl::SslAlert::DECODE_ERROR)?;
                ssl.set_ex_data(offered, octets.to_vec());
                Ok(())
            },
        )
        .unwrap();
    context.build()
}

/// Answers requests without a body until the client closes.
fn serve(
    context: &SslContext,
    tcp: TcpStream,
    settings: &Settings,
    seen: &Mutex<Vec<Seen>>,
    alert: &Sender<Option<u8>>,
) {
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let stream = match Ssl::new(context).unwrap().accept(tcp) {
        Ok(stream) => stream,
        Err(HandshakeError::Failure(failed)) => {
            let _ = alert.send(alert_received(failed.error()));
            return;
        }
        Err(_) => return,
    };
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            match stream.read_line(&mut head) {
                Ok(0) | Err(_) => {
                    // Without it OpenSSL does not resume the session by its ID.
                    let _ = stream.get_mut().shutdown();
                    return;
                }
                Ok(_) if head.ends_with("\r\n\r\n") => break,
                Ok(_) => {}
            }
        }
        let verdict = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().starts_with("sec-token-binding: ").then(|| &line[19..])
            })
            .map(|value| judge(export(stream.get_ref().ssl()), value));
        seen.lock().unwrap().push(Seen { head, verdict });
        if stream.get_mut().write_all(&settings.response).is_err() {
            return;
        }
    }
}

/// The server's own export of the keying material.
pub fn export(ssl: &SslRef) -> [u8; 32] {
    let mut ekm = [0; 32];
    ssl.export_keying_material(&mut ekm, "EXPORTER-Token-Binding", None).unwrap();
    ekm
}

/// The server's own judgement. The key parameters are those in the message.
pub fn judge(ekm: [u8; 32], value: &str) -> Result<Verified, Rejection> {
    let message = token_binding::parse_field_value(value.as_bytes())?;
    let code = message.get(3).copied().unwrap_or(2);
    let key_parameters = token_binding::KeyParameters::from_code(code).unwrap();
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters };
    token_binding::verify(value.as_bytes(), &negotiated, &token_binding::Ekm::new(ekm))
}
