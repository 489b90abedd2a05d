//! A client with Token Binding on OpenSSL: tokbind's library and a key, as a browser would use them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use openssl::ssl::SslStream;
use tokbind::http1::{self, Client, Response};
use tokbind::tls::{Blocking, Connector, ConnectorBuilder, Identity, TlsConnection};
use token_binding::{EXPORTER_LABEL, Ekm, KeyPair, KeyParameters, TokenBindingHash, base64url};

use super::certificates::{self, pki};
use super::exchange::Answer;
use super::httpd::Httpd;
use super::process::patience;

/// Three keys of one process: of two clients, and the one that the first of them uses at another site.
pub struct Keys {
    pub a: KeyPair,
    pub b: KeyPair,
    pub elsewhere: KeyPair,
}

pub fn keys() -> &'static Keys {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
        a: new_key(KeyParameters::EcdsaP256),
        b: new_key(KeyParameters::EcdsaP256),
        elsewhere: new_key(KeyParameters::Rsa2048Pss),
    });
    &KEYS
}

pub fn new_key(key_parameters: KeyParameters) -> KeyPair {
    KeyPair::generate(key_parameters).expect("OpenSSL makes keys")
}

/// base64url of a key's Token Binding ID.
pub fn id(key: &KeyPair) -> String {
    base64url::encode(&key.id())
}

/// base64url of its SHA-256.
pub fn tbh(key: &KeyPair) -> String {
    TokenBindingHash::of(&key.id()).to_base64url()
}

/// Settings that believe the test CA and offer all key parameters.
pub fn connector() -> ConnectorBuilder {
    Connector::builder().ca(pki().ca.certificate.clone()).timeout(patience(10))
}

/// A client certificate of the test's PKI for a connector.
pub fn identity(of: &certificates::Identity) -> Identity {
    Identity::new(of.certificate.clone(), of.key.clone())
}

/// `x5t#S256` (RFC 8705 §3.1) by the way of the command line: the digest in hex, its octets, base64url.
pub fn thumbprint(certificate: &std::path::Path) -> String {
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .expect("openssl runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (_, digits) = text.trim().split_once('=').expect("sha256 Fingerprint=AA:BB:...");
    let octets: Result<Vec<u8>, _> = digits.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect();
    base64url::encode(&octets.expect("pairs of hexadecimal digits"))
}

/// A connection that a message can be signed for.
pub trait Exporter: Read + Write {
    /// The keying material of its latest handshake.
    fn ekm(&self) -> Ekm;
}

impl Exporter for TlsConnection<Blocking> {
    fn ekm(&self) -> Ekm {
        Self::ekm(self).expect("a finished handshake")
    }
}

impl Exporter for SslStream<TcpStream> {
    fn ekm(&self) -> Ekm {
        let mut octets = [0; 32];
        self.ssl().export_keying_material(&mut octets, EXPORTER_LABEL, None).expect("a finished handshake");
        Ekm::new(octets)
    }
}

/// A client on one connection, with its key.
pub struct Bound<S = TlsConnection<Blocking>> {
    client: Client<S>,
    host: String,
    key: &'static KeyPair,
    referred: Option<&'static KeyPair>,
}

impl Bound {
    /// On a new connection to `localhost`, with key A.
    pub fn open(server: &Httpd) -> Self {
        Self::connect(&connector().build().expect("a connector"), server.tls(), "localhost")
    }

    pub fn connect(connector: &Connector, address: SocketAddr, host: &str) -> Self {
        let connection =
            connector.connect(address, host).unwrap_or_else(|error| panic!("{host} at {address}: {error}"));
        Self::over(connection, host)
    }
}

impl<S: Exporter> Bound<S> {
    /// On a connection that nothing was read from yet.
    pub fn over(stream: S, host: &str) -> Self {
        Self { client: Client::new(stream), host: host.to_owned(), key: &keys().a, referred: None }
    }

    /// The same client with another key.
    pub fn with_key(self, key: &'static KeyPair) -> Self {
        Self { key, ..self }
    }

    /// The same client with a referred binding in each message.
    pub fn referring(self, key: &'static KeyPair) -> Self {
        Self { referred: Some(key), ..self }
    }

    pub fn stream(&self) -> &S {
        self.client.stream()
    }

    /// A message for this connection as it is now.
    pub fn message(&self) -> String {
        tokbind::binding::field_value(self.key, self.referred, &self.stream().ekm()).expect("a message")
    }

    /// A bound request; `fields` are whole lines without line ends.
    pub fn get(&mut self, path: &str, fields: &[&str]) -> Answer {
        let message = self.message();
        self.replay(path, &message, fields)
    }

    /// A request with a message that was made before, here or elsewhere.
    pub fn replay(&mut self, path: &str, message: &str, fields: &[&str]) -> Answer {
        let field = format!("Sec-Token-Binding: {message}");
        self.unbound(path, &[&[field.as_str()], fields].concat())
    }

    /// A request without a message.
    pub fn unbound(&mut self, path: &str, fields: &[&str]) -> Answer {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host);
        self.exchange(&request).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A request as it is, and the response to it.
    pub fn exchange(&mut self, request: &str) -> Result<Answer, http1::Error> {
        self.client.exchange(request).map(Answer::from)
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Self {
            status: response.status,
            headers: response.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: response.text(),
        }
    }
}
