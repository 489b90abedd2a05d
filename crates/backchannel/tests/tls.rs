//! TLS of HTTP requests: who is trusted, and whom we show our certificate.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use backchannel::http::{Client, Endpoint, Failure, Method};

use common::certificates::Folder;
use common::{Server, acceptor, converse, ok};

struct Scene {
    certificates: Folder,
    server: Server,
}

impl Scene {
    fn new(name: &str, clients: bool) -> Self {
        let certificates = Folder::mint();
        let acceptor = acceptor(&certificates, name, clients);
        let server = Server::start_tls(acceptor, |stream| converse(stream, &|_| ok("", "keys")));
        Self { certificates, server }
    }

    fn endpoint(&self, ca: &str) -> Endpoint {
        Endpoint {
            url: self.server.url("https"),
            verify_tls: true,
            ca_file: Some(self.certificates.file(ca)),
            client_certificate: None,
            proxy: None,
            timeout: Duration::from_secs(5),
        }
    }

    fn client(&self, certificate: &str, key: &str) -> Option<(PathBuf, PathBuf)> {
        Some((self.certificates.file(certificate), self.certificates.file(key)))
    }
}

fn get(endpoint: &Endpoint) -> Result<Vec<u8>, Failure> {
    Client::new().send(endpoint, Method::Get, &[]).map(|response| response.body)
}

#[track_caller]
fn refused(endpoint: &Endpoint, reason: &str) {
    let failure = get(endpoint).unwrap_err();
    assert!(matches!(failure, Failure::Tls { .. }), "{failure:?}");
    let text = failure.to_string();
    assert!(text.contains(reason) && !text.contains(char::is_control), "{text}");
}

#[test]
fn a_server_of_the_ca_file_is_trusted() {
    let scene = Scene::new("server", false);
    assert_eq!(get(&scene.endpoint("ca.pem")).unwrap(), b"keys");
    let by_address = format!("https://127.0.0.1:{}/", scene.server.port);
    assert_eq!(get(&Endpoint { url: by_address, ..scene.endpoint("ca.pem") }).unwrap(), b"keys");
}

#[test]
fn others_are_not_and_the_message_says_where_to_look() {
    let scene = Scene::new("server", false);
    refused(
        &scene.endpoint("stranger.pem"),
        "unable to get local issuer certificate (is the CA in the ca_file option,",
    );
    refused(
        &Endpoint { ca_file: None, ..scene.endpoint("") },
        "is the CA in the ca_file option, or in the system's store",
    );
}

#[test]
fn a_self_signed_server_is_its_own_ca() {
    let scene = Scene::new("stranger", false);
    refused(&scene.endpoint("ca.pem"), "self-signed");
    // Trusted, but it has no name.
    refused(&scene.endpoint("stranger.pem"), "localhost");
}

#[test]
fn the_certificate_has_to_be_for_the_host() {
    let scene = Scene::new("elsewhere", false);
    refused(&scene.endpoint("ca.pem"), "is the name the certificate's?");
    refused(&scene.endpoint("ca.pem"), "'localhost'");
}

#[test]
fn who_does_not_verify_gets_anything() {
    let scene = Scene::new("elsewhere", false);
    let lax = Endpoint { verify_tls: false, ..scene.endpoint("stranger.pem") };
    assert_eq!(get(&lax).unwrap(), b"keys");
    assert_eq!(get(&Endpoint { ca_file: None, ..lax }).unwrap(), b"keys");
}

#[test]
fn a_connection_without_verification_is_not_used_again_with_it() {
    let scene = Scene::new("server", false);
    let strict = scene.endpoint("stranger.pem");
    let client = Client::new();
    let send = |endpoint: &Endpoint| client.send(endpoint, Method::Get, &[]);
    assert!(send(&Endpoint { verify_tls: false, ..strict.clone() }).is_ok());
    assert!(matches!(send(&strict), Err(Failure::Tls { .. })));
    assert!(send(&scene.endpoint("ca.pem")).is_ok());
    assert!(matches!(send(&strict), Err(Failure::Tls { .. })));
}

#[test]
fn a_ca_file_that_is_none() {
    let scene = Scene::new("server", false);
    refused(&scene.endpoint("missing.pem"), "missing.pem");
    refused(&scene.endpoint("ca.key"), "ca.key");
}

#[test]
fn our_certificate_is_shown_where_it_is_wanted() {
    let scene = Scene::new("server", true);
    let with = |client_certificate| Endpoint { client_certificate, ..scene.endpoint("ca.pem") };
    assert_eq!(get(&with(scene.client("client.pem", "client.key"))).unwrap(), b"keys");
    assert!(get(&with(None)).is_err());
    assert!(get(&with(scene.client("stranger.pem", "stranger.key"))).is_err());
}

#[test]
fn a_connection_with_our_certificate_is_not_used_again_without_it() {
    let scene = Scene::new("server", true);
    let with =
        Endpoint { client_certificate: scene.client("client.pem", "client.key"), ..scene.endpoint("ca.pem") };
    let client = Client::new();
    assert!(client.send(&with, Method::Get, &[]).is_ok());
    assert!(client.send(&with, Method::Get, &[]).is_ok());
    assert_eq!(scene.server.accepted(), 1);
    assert!(client.send(&scene.endpoint("ca.pem"), Method::Get, &[]).is_err());
}

#[test]
fn a_certificate_of_ours_that_cannot_be_used() {
    let scene = Scene::new("server", true);
    for (certificate, key) in [
        ("missing.pem", "client.key"),
        ("client.pem", "missing.key"),
        ("client.pem", "stranger.key"),
        ("client.key", "client.key"),
        // Its passphrase is not asked for at a terminal.
        ("client.pem", "locked.key"),
    ] {
        let start = Instant::now();
        let endpoint =
            Endpoint { client_certificate: scene.client(certificate, key), ..scene.endpoint("ca.pem") };
        refused(&endpoint, "our client certificate or its key cannot be used");
        assert!(start.elapsed() < Duration::from_secs(4), "{key}");
    }
}

#[test]
fn a_server_without_tls() {
    let scene = Scene::new("server", false);
    let server = Server::start(|stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    refused(&Endpoint { url: server.url("https"), ..scene.endpoint("ca.pem") }, "localhost");
}
