//! One TLS connection of a stock OpenSSL server, to compare another stack's exporter with.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use tempfile::TempDir;

use super::certificates::pki;

/// Accepts one connection and asks for a client certificate, which it does not check.
pub struct Witness {
    address: SocketAddr,
    files: TempDir,
    exported: JoinHandle<[u8; 32]>,
}

impl Witness {
    pub fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        pki().write_to(files.path());
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("a context");
        acceptor.set_certificate(&pki().server.certificate).expect("a certificate");
        acceptor.set_private_key(&pki().server.key).expect("its key");
        acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        let acceptor = acceptor.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let exported = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            let stream = acceptor.accept(stream).expect("a handshake");
            let mut ekm = [0; 32];
            // RFC 8471 §3.3
            stream.ssl().export_keying_material(&mut ekm, "EXPORTER-Token-Binding", None).expect("an export");
            ekm
        });
        Self { address, files, exported }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file of the test's certificates: `client_a.pem`, `client_a.key`.
    pub fn file(&self, name: &str) -> String {
        let path: PathBuf = self.files.path().join(name);
        path.display().to_string()
    }

    /// What the server exported, in hex.
    pub fn ekm(self) -> String {
        self.exported
            .join()
            .expect("the server exported")
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect()
    }
}
