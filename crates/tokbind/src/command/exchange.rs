//! The requests of one connection of `tokbind get`, by hyper.

use super::request::Keys;
use super::session::{Session, Target};
use super::{Failure, key::id_members, output};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use std::error::Error as StdError;
use std::time::Duration;
use tokbind::{binding, tls};
use token_binding::{TokenBindingId, base64url};
use tokio::task::JoinHandle;

/// What every request of the command is made from.
pub(super) struct Plan {
    pub(super) method: Method,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    /// A `Sec-Token-Binding` value that is not made here.
    pub(super) replay: Option<HeaderValue>,
    pub(super) keys: Keys,
    pub(super) timeout: Duration,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection that takes requests.
pub(super) struct Requests<'t> {
    session: Session,
    target: &'t Target,
    sender: Sender,
    driver: JoinHandle<()>,
}

impl<'t> Requests<'t> {
    pub(super) async fn start(session: Session, target: &'t Target) -> Result<Self, Failure> {
        let stream = session.clone();
        // A failure of the connection shows in the request that it fails.
        let (sender, driver) = if session.speaks_http2() {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(|error| failed(&error))?;
            (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(|error| failed(&error))?;
            (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
        };
        Ok(Self { session, target, sender, driver })
    }

    /// One request and its response.
    pub(super) async fn perform(&mut self, plan: &mut Plan) -> Result<Answer, Failure> {
        let timeout = plan.timeout;
        let late = || Failure::Refused(format!("no answer within {} s", timeout.as_secs()));
        tokio::time::timeout(timeout, self.exchange(plan)).await.map_err(|_| late())?
    }

    async fn exchange(&mut self, plan: &mut Plan) -> Result<Answer, Failure> {
        self.ready().await.map_err(|error| failed(&error))?;
        // RFC 8473 §2: every request has the field; it is made anew, since a renegotiation changes what is signed.
        let message = self.message(plan)?;
        let request = self.request(plan, message.value.clone())?;
        let sent = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let (head, body) = sent.map_err(|error| failed(&error))?.into_parts();
        let body = Incoming::collect(body).await.map_err(|error| failed(&error))?.to_bytes();
        let Message { value, provided, referred } = message;
        let message = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer {
            message,
            provided,
            referred,
            version: head.version,
            status: head.status,
            fields: head.headers,
            body,
        })
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        }
    }

    /// The `Sec-Token-Binding` field, where there is one to send.
    fn message(&self, plan: &mut Plan) -> Result<Message, Failure> {
        if let Some(value) = &plan.replay {
            return Ok(Message { value: Some(value.clone()), provided: None, referred: None });
        }
        let Some((negotiated, ekm)) = self.session.binding_context()? else {
            return Ok(Message { value: None, provided: None, referred: None });
        };
        let (provided, referred) = plan.keys.for_connection(negotiated)?;
        let value = binding::field_value(provided, referred, &ekm)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| Failure::Usage("the token binding is no header value".into()))?;
        Ok(Message {
            value: Some(value),
            provided: Some(provided.id()),
            referred: referred.map(token_binding::KeyPair::id),
        })
    }

    fn request(&self, plan: &Plan, message: Option<HeaderValue>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut fields = HeaderMap::new();
        for (name, value) in &plan.fields {
            fields.append(name, value.clone());
        }
        if let Some(value) = message {
            fields.append(HeaderName::from_static("sec-token-binding"), value);
        }
        if !plan.body.is_empty() && !fields.contains_key(header::CONTENT_TYPE) {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            fields.insert(header::CONTENT_TYPE, form);
        }
        let request = Request::builder().method(&plan.method);
        let request = match self.sender {
            // RFC 9113 §8.3.1: scheme, authority and path go into pseudo-header fields.
            Sender::Http2(_) => request.version(Version::HTTP_2).uri(self.target.uri.clone()),
            // RFC 9112 §3.2.1: the origin-form, and a Host field.
            Sender::Http1(_) => {
                if !fields.contains_key(header::HOST) {
                    let host = HeaderValue::try_from(&self.target.authority)
                        .map_err(|_| Failure::Usage("the URL's host is no header value".into()))?;
                    fields.insert(header::HOST, host);
                }
                request.uri(self.target.uri.path_and_query().map_or("/", |target| target.as_str()))
            }
        };
        let mut request = request
            .body(Full::new(Bytes::from(plan.body.clone())))
            .map_err(|error| Failure::Usage(format!("cannot make the request: {error}")))?;
        *request.headers_mut() = fields;
        Ok(request)
    }

    /// Ends the connection in order, so that its session can be resumed.
    pub(super) async fn finish(self) {
        let Self { session, sender, mut driver, .. } = self;
        drop(sender);
        // A server that does not end the connection does not hold us up.
        if tokio::time::timeout(Duration::from_secs(1), &mut driver).await.is_err() {
            driver.abort();
        }
        drop(session);
    }
}

/// A `Sec-Token-Binding` value with the IDs in it, as far as they are known.
struct Message {
    value: Option<HeaderValue>,
    provided: Option<Vec<u8>>,
    referred: Option<Vec<u8>>,
}

/// A response, with what was sent to get it.
pub(super) struct Answer {
    /// The `Sec-Token-Binding` value that was sent.
    pub(super) message: Option<String>,
    provided: Option<Vec<u8>>,
    referred: Option<Vec<u8>>,
    version: Version,
    pub(super) status: StatusCode,
    fields: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Why the server refused, if it did.
    pub(super) fn refusal(&self) -> Option<String> {
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return None;
        }
        let challenge = self.fields.get(header::WWW_AUTHENTICATE).map(HeaderValue::as_bytes);
        let challenge = challenge.map_or_else(String::new, |challenge| {
            format!("; WWW-Authenticate: {}", String::from_utf8_lossy(challenge))
        });
        Some(format!("the server refused: {}{challenge}", self.status))
    }

    /// What `-v` says about the request and its response.
    pub(super) fn describe(&self) {
        match (&self.provided, &self.message) {
            (Some(id), _) => {
                let id = TokenBindingId::new(id);
                output::detail("provided ID", &id.to_base64url());
                output::detail("tbh", &id.hash().to_base64url());
            }
            (None, Some(_)) => output::detail("provided ID", "that of the given value"),
            (None, None) => output::detail("provided ID", "none was sent"),
        }
        if let Some(id) = &self.referred {
            output::detail("referred ID", &base64url::encode(id));
        }
        output::detail("response", &format!("{:?} {}", self.version, self.status));
    }

    /// Status line and header fields, in the form of HTTP/1.1 whatever the version.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{:?} {}\r\n", self.version, self.status).into_bytes();
        for (name, value) in &self.fields {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        head
    }

    pub(super) fn json(&self, with_message: bool) -> Value {
        let id = |id: &Option<Vec<u8>>| id.as_deref().map(|id| id_members(TokenBindingId::new(id))).into();
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
        };
        let mut document = Map::new();
        let mut insert = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
        insert("status", self.status.as_u16().into());
        insert("version", format!("{:?}", self.version).into());
        insert("headers", self.fields.iter().map(field).collect());
        insert("provided", id(&self.provided));
        insert("referred", id(&self.referred));
        match str::from_utf8(&self.body) {
            Ok(text) => insert("body", text.into()),
            Err(_) => insert("body_base64url", base64url::encode(&self.body).into()),
        }
        if with_message {
            insert("sec_token_binding", self.message.clone().into());
        }
        document.into()
    }
}

/// hyper's errors say little by themselves; what is behind them says the rest.
fn failed(error: &(dyn StdError + 'static)) -> Failure {
    let mut text = format!("the request failed: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // RFC 8446 §4.4.2.4 and §6: a TLS 1.3 server says only now that it wants a certificate.
    if tls::alert_received(error) == Some(116) {
        text.push_str("; present a client certificate with --cert FILE");
    }
    Failure::Refused(text)
}
