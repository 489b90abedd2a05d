//! The real authorization server (tests/authorization-server): oidc-provider on Node.js, with mutual TLS.
//!
//! ```no_run
//! let server = AuthorizationServer::start();
//! let token = server.token(&Grant { certificate: Some(&pki().client_a), ..Grant::default() });
//! server.rotate();
//! server.fail(Endpoint::Jwks, 503);
//! assert_eq!(server.counts().jwks, 0);
//! ```

mod browser;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokbind::http1::{Client, Response};
use tokbind::tls::Offer;
use token_binding::base64url;

use super::bound::{connector, identity};
use super::certificates::{Identity, pki};
use super::ports::Port;

/// The secret of the clients that have one.
pub const SECRET: &str = "correct-horse-battery-staple";

/// A running authorization server on 127.0.0.1.
pub struct AuthorizationServer {
    issuer: String,
    port: Port,
    control: Port,
    folder: tempfile::TempDir,
    /// It ends when its standard input does.
    process: Option<(Child, ChildStdin)>,
}

/// What a token is asked for with.
pub struct Grant<'a> {
    /// `bound`: authenticates with its secret, its tokens are bound to the certificate of the connection.
    /// `bearer`: its tokens are not bound. `ca-signed` and `self-signed`: authenticate with the certificate of client A
    /// and the self-signed one (RFC 8705 §2.1, §2.2).
    pub client: &'a str,
    /// The certificate of the connection to the token endpoint.
    pub certificate: Option<&'a Identity>,
    pub format: Format,
    pub scope: &'a str,
    /// RFC 8707's resource indicator, which becomes `aud`. Without one, tokens are opaque.
    pub resource: Option<&'a str>,
    pub lifetime: Duration,
    /// More claims, as a JSON object.
    pub claims: Value,
}

impl Default for Grant<'_> {
    fn default() -> Self {
        Self {
            client: "bound",
            certificate: None,
            format: Format::Es256,
            scope: "read",
            resource: Some("https://api.test"),
            lifetime: Duration::from_secs(600),
            claims: json!({}),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JWTs of RFC 9068, `at+jwt`.
    Es256,
    Rs256,
    Opaque,
}

/// What is counted, delayed and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Metadata,
    Jwks,
    Token,
    Introspection,
    Revocation,
}

/// The requests of each endpoint since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub metadata: u64,
    pub jwks: u64,
    pub token: u64,
    pub introspection: u64,
    pub revocation: u64,
}

impl AuthorizationServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        pki().write_to(&folder.path().join("pki"));
        let (port, control) = (Port::reserve(), Port::reserve());
        let issuer = format!("https://localhost:{}", port.number());
        let mut server = Self { issuer, port, control, folder, process: None };
        server.start_again();
        server
    }

    /// Ends it: nobody listens on its ports.
    pub fn stop(&mut self) {
        if let Some((mut child, commands)) = self.process.take() {
            drop(commands);
            let _ = child.wait();
        }
    }

    /// Starts it after [`stop`](Self::stop), on the same ports, with new keys and without memory.
    pub fn start_again(&mut self) {
        self.stop();
        let log = self.folder.path().join("log");
        let mut child = Command::new("node")
            .arg(installed().join("server.mjs"))
            .arg("--certificates")
            .arg(self.folder.path().join("pki"))
            .args(["--port", &self.port.number().to_string()])
            .args(["--control-port", &self.control.number().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("node starts");
        let output = child.stdout.take().expect("a pipe");
        self.process = child.stdin.take().map(|commands| (child, commands));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        let ready = serde_json::from_str::<Value>(&line).unwrap_or_default();
        assert_eq!(
            ready["issuer"],
            self.issuer,
            "it did not start: {}",
            fs::read_to_string(&log).unwrap_or_default()
        );
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// RFC 8414 §3.
    pub fn metadata_uri(&self) -> String {
        format!("{}/.well-known/oauth-authorization-server", self.issuer)
    }

    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.issuer)
    }

    /// The introspection endpoint, for the client `resource-server` with [`SECRET`].
    pub fn introspection_uri(&self) -> String {
        format!("{}/token/introspection", self.issuer)
    }

    /// The CA of its server certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("pki/ca.pem")
    }

    /// An access token by the client credentials grant.
    pub fn token(&self, grant: &Grant<'_>) -> String {
        let (status, answer) = self.try_token(grant);
        assert_eq!(status, 200, "no token: {answer}");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// The status and body of the token endpoint's answer.
    pub fn try_token(&self, grant: &Grant<'_>) -> (u16, Value) {
        let format = match grant.format {
            Format::Es256 => "ES256",
            Format::Rs256 => "RS256",
            Format::Opaque => "opaque",
        };
        let mut form = format!("grant_type=client_credentials&scope={}", encode(grant.scope));
        if let Some(resource) = grant.resource {
            form += &format!("&resource={}", encode(resource));
        }
        let mut fields = format!(
            "Token-Format: {format}\r\nToken-Lifetime: {}\r\nToken-Claims: {}\r\n",
            grant.lifetime.as_secs(),
            grant.claims
        );
        if grant.client.ends_with("-signed") {
            form += &format!("&client_id={}", grant.client);
        } else {
            fields += &basic(grant.client);
        }
        let response = self.post("/token", grant.certificate, &fields, &form);
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    /// What the introspection endpoint says to `resource-server` (RFC 7662 §2.2).
    pub fn introspect(&self, token: &str) -> Value {
        let response =
            self.post_as("resource-server", "/token/introspection", &format!("token={}", encode(token)));
        assert_eq!(response.status, 200, "{}", response.text());
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// RFC 7009, by the client that the token was issued to.
    pub fn revoke(&self, client: &str, token: &str) {
        let response = self.post_as(client, "/token/revocation", &format!("token={}", encode(token)));
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// New signing keys; the old ones stay published. Answers the new key IDs, ES256's and RS256's.
    pub fn rotate(&self) -> Vec<String> {
        self.new_keys(true)
    }

    /// New signing keys, and nobody can verify the tokens of the old ones any more.
    pub fn replace_keys(&self) -> Vec<String> {
        self.new_keys(false)
    }

    fn new_keys(&self, keep: bool) -> Vec<String> {
        let answer = self.control("POST /rotate", &json!({"keep": keep}));
        let kids = answer["kids"].as_array().into_iter().flatten();
        kids.map(|kid| kid.as_str().expect("text").to_owned()).collect()
    }

    /// Its answers come late from now on. Each of these replaces what was said of the same endpoint before.
    pub fn delay(&self, endpoint: Endpoint, delay: Duration) {
        self.fault(endpoint, json!({"delay": delay.as_secs_f64() * 1000.0}));
    }

    /// Its answers have this status; 0: it closes connections without one.
    pub fn fail(&self, endpoint: Endpoint, status: u16) {
        self.fault(endpoint, json!({"status": status}));
    }

    /// Its answers have this status and body.
    pub fn answer(&self, endpoint: Endpoint, status: u16, body: &str) {
        self.fault(endpoint, json!({"status": status, "body": body}));
    }

    /// Its answers have this field.
    pub fn header(&self, endpoint: Endpoint, name: &str, value: &str) {
        self.fault(endpoint, json!({"headers": {name: value}}));
    }

    /// All of this together, as in tests/authorization-server/gate.mjs.
    pub fn fault(&self, endpoint: Endpoint, mut fault: Value) {
        fault["endpoint"] = json!(format!("{endpoint:?}").to_lowercase());
        self.control("POST /fault", &fault);
    }

    /// No more faults.
    pub fn recover(&self) {
        self.control("POST /recover", &json!({}));
    }

    pub fn counts(&self) -> Counts {
        let answer = self.control("GET /counts", &json!({}));
        let count = |name: &str| answer[name].as_u64().expect("a number");
        Counts {
            metadata: count("metadata"),
            jwks: count("jwks"),
            token: count("token"),
            introspection: count("introspection"),
            revocation: count("revocation"),
        }
    }

    /// Registers a client, such as one of mod_auth_openidc: RFC 7591's metadata with a `client_id`.
    pub fn register(&self, client: &Value) {
        self.control("POST /client", client);
    }

    /// Every ID token has these claims too, from now on; of what a claim can be, it knows `cnf` only.
    pub fn claim(&self, claims: &Value) {
        self.control("POST /claims", claims);
    }

    pub fn get(&self, path: &str) -> Response {
        self.exchange(None, &format!("GET {path}"), "\r\n")
    }

    pub fn get_json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).body).expect("JSON")
    }

    /// A form from a client with its [`SECRET`].
    pub fn post_as(&self, client: &str, path: &str, form: &str) -> Response {
        self.post(path, None, &basic(client), form)
    }

    /// `fields` are whole lines with line ends.
    fn post(&self, path: &str, certificate: Option<&Identity>, fields: &str, form: &str) -> Response {
        let length = format!("Content-Length: {}\r\n", form.len());
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.exchange(certificate, &format!("POST {path}"), &format!("{length}{kind}{fields}\r\n{form}"))
    }

    /// `target` is the method and the path, `rest` the fields, an empty line and the body.
    fn exchange(&self, certificate: Option<&Identity>, target: &str, rest: &str) -> Response {
        // With the port: the server takes its own URLs from here.
        let host = self.issuer.trim_start_matches("https://");
        let request = format!("{target} HTTP/1.1\r\nHost: {host}\r\n{rest}");
        let mut connector = connector().offer(Offer::None);
        if let Some(certificate) = certificate {
            connector = connector.identity(identity(certificate));
        }
        let connector = connector.build().expect("a connector");
        let address = (Ipv4Addr::LOCALHOST, self.port.number());
        let connection = connector.connect(address, "localhost").expect("it accepts connections");
        Client::new(connection).exchange(request).expect("it answers")
    }

    fn control(&self, switch: &str, parameters: &Value) -> Value {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control.number())).expect("it runs");
        let body = parameters.to_string();
        let head = format!("{switch} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let response = Client::new(stream).exchange(head + &body).expect("it answers");
        assert_eq!(response.status, 200, "{switch} {parameters}: {}", response.text());
        serde_json::from_slice(&response.body).expect("JSON")
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An `Authorization` line of a client with the secret.
fn basic(client: &str) -> String {
    let credentials = openssl::base64::encode_block(format!("{client}:{SECRET}").as_bytes());
    format!("Authorization: Basic {credentials}\r\n")
}

/// The claims of a JWT, whoever signed it, and its header.
pub fn decode(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let octets = base64url::decode(part.as_bytes()).expect("base64url");
        serde_json::from_slice(&octets).unwrap_or_default()
    });
    let header = parts.next().expect("a header");
    (parts.next().expect("claims"), header)
}

fn encode(text: &str) -> String {
    let octet = |octet: u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(octet).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(octet).collect()
}

/// The folder with oidc-provider, made by setup.sh where needed.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("authorization-server");
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authorization-server/setup.sh");
        let done = Command::new(setup).arg(&folder).status().expect("sh runs");
        assert!(done.success(), "tests/authorization-server/setup.sh failed: {done}");
        folder
    })
}
