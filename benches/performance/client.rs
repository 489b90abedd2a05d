//! A client that always sends the same: as many octets to a server with the module as to one without.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokbind::http1;
use tokbind::tls::{Blocking, Connector, HTTP_2, Offer, TlsConnection};
use token_binding::{Ekm, KeyParameters, Preference};
use tokio::runtime::Runtime;

use crate::common::{connector, identity, keys, pki};

/// What a client brings to each of its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    pub http2: bool,
    /// Offers Token Binding, and sends a message with each request.
    pub token_binding: bool,
    /// Presents client A's certificate when it is asked for one.
    pub certificate: bool,
}

/// A status, and what the server says it knew.
pub struct Answer {
    pub status: u16,
    pub witness: String,
}

/// Opens connections to one server.
pub struct Client {
    manner: Manner,
    connector: Connector,
    address: SocketAddr,
}

/// An open connection.
pub struct Connection {
    line: Line,
    message: Option<String>,
}

enum Line {
    Http1(http1::Client<TlsConnection<Blocking>>),
    Http2(Runtime, http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    pub fn new(manner: Manner, address: SocketAddr) -> Self {
        let mut builder = connector().offer(match manner.token_binding {
            true => Offer::Preference(Preference::new(&[KeyParameters::EcdsaP256]).expect("one")),
            false => Offer::None,
        });
        if manner.certificate {
            builder = builder.identity(identity(&pki().client_a));
        }
        if manner.http2 {
            builder = builder.alpn(&[HTTP_2]);
        }
        Self { manner, connector: builder.build().expect("a connector"), address }
    }

    pub fn connect(&self) -> Connection {
        if self.manner.http2 {
            return self.connect_http2();
        }
        let (connection, message) = self.open();
        Connection { line: Line::Http1(http1::Client::new(connection)), message }
    }

    /// A connection for HTTP/1.1, and the message for it.
    fn open(&self) -> (TlsConnection<Blocking>, Option<String>) {
        let connection = self.connector.connect(self.address, "localhost").expect("a connection");
        let message = self.message(connection.negotiated().map(|_| connection.ekm().expect("an EKM")));
        (connection, message)
    }

    /// A connection on which requests for a file with the text "hello" do not wait for each other's answers.
    pub fn pipeline(&self, path: &str) -> Pipeline {
        let (connection, message) = self.open();
        let field = message.map(|message| format!("sec-token-binding: {message}\r\n")).unwrap_or_default();
        Pipeline { connection, begin: format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{field}") }
    }

    fn connect_http2(&self) -> Connection {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connecting = async {
            let tcp = tokio::net::TcpStream::connect(self.address).await.expect("the server listens");
            tcp.set_nodelay(true).expect("a socket");
            let connection =
                self.connector.connect_transport(TokioIo::new(tcp), "localhost").await.expect("a connection");
            assert_eq!(connection.alpn().as_deref(), Some(HTTP_2));
            let message = self.message(connection.negotiated().map(|_| connection.ekm().expect("an EKM")));
            let (sender, driver) = http2::handshake(TokioExecutor::new(), connection).await.expect("HTTP/2");
            tokio::spawn(driver);
            (sender, message)
        };
        let (sender, message) = runtime.block_on(connecting);
        Connection { line: Line::Http2(runtime, sender), message }
    }

    /// The field for this connection. A server that did not negotiate gets as many octets, that mean nothing to it.
    fn message(&self, ekm: Option<Ekm>) -> Option<String> {
        let ekm = ekm.unwrap_or_else(|| Ekm::new([0; 32]));
        self.manner
            .token_binding
            .then(|| tokbind::binding::field_value(&keys().a, None, &ekm).expect("a message"))
    }
}

/// See [`Client::pipeline`].
pub struct Pipeline {
    connection: TlsConnection<Blocking>,
    /// Of each request, up to its token.
    begin: String,
}

impl Pipeline {
    /// A request for each of these, whose answers have been read when this returns. They must fit into the sockets' memory.
    pub fn get(&mut self, tokens: &[Option<&str>]) {
        const GOOD: &[u8] = b"HTTP/1.1 200 ";
        let mut requests = String::new();
        for token in tokens {
            requests += &self.begin;
            if let Some(token) = token {
                requests.extend(["authorization: Bearer ", token, "\r\n"]);
            }
            requests += "\r\n";
        }
        self.connection.write_all(requests.as_bytes()).expect("the server reads");
        let (mut answers, mut chunk) = (Vec::new(), [0; 16_384]);
        loop {
            let octets = self.connection.read(&mut chunk).expect("answers");
            assert!(octets > 0, "{}: the connection ended", self.begin);
            answers.extend_from_slice(&chunk[..octets]);
            // No answer ends otherwise.
            let good = || answers.windows(GOOD.len()).filter(|octets| *octets == GOOD).count();
            if answers.ends_with(b"\r\n\r\nhello\n") && good() == tokens.len() {
                return;
            }
        }
    }
}

impl Connection {
    /// One request; the answer has been read when this returns.
    pub fn get(&mut self, path: &str, token: Option<&str>) -> Answer {
        self.request("GET", path, token)
    }

    /// As [`Self::get`], by any method without a body.
    pub fn request(&mut self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let mut fields = Vec::new();
        if let Some(message) = &self.message {
            fields.push(("sec-token-binding", message.clone()));
        }
        if let Some(token) = token {
            fields.push(("authorization", format!("Bearer {token}")));
        }
        match &mut self.line {
            Line::Http1(client) => {
                let fields: String =
                    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
                let response = client.exchange(request).expect("an answer");
                let witness = response.header("X-Witness").unwrap_or_default().to_owned();
                Answer { status: response.status, witness }
            }
            Line::Http2(runtime, sender) => {
                let uri = format!("https://localhost{path}");
                let mut request = Request::builder().method(method).uri(uri);
                for (name, value) in fields {
                    request = request.header(name, value);
                }
                let request = request.body(Empty::new()).expect("a request");
                runtime.block_on(async {
                    sender.ready().await.expect("the connection lasts");
                    let response = sender.send_request(request).await.expect("an answer");
                    let (head, body) = response.into_parts();
                    body.collect().await.expect("a body");
                    let witness = head.headers.get("X-Witness").and_then(|value| value.to_str().ok());
                    Answer { status: head.status.as_u16(), witness: witness.unwrap_or_default().to_owned() }
                })
            }
        }
    }
}
