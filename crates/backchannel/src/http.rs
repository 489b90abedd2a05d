//! HTTP requests to an authorization server: its keys, its metadata, its introspection endpoint.
//!
//! Redirects are not followed: the administrator named the server, nobody else does. Connections are kept and used again.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use curl::easy::{Easy2, Handler, List, WriteError};
pub use sender_constraint::exchange::Endpoint;

use crate::lookup::Lookup;
use crate::url::{self, Target};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Method<'a> {
    /// A document is asked for.
    Get,
    /// A form is sent (`application/x-www-form-urlencoded`).
    PostForm(&'a [u8]),
}

/// What came back, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; 200 for a file that was read.
    pub status: u16,
    /// The value of `Cache-Control`, several joined with commas.
    pub cache_control: Option<String>,
    /// The body, at most [`Client::LARGEST_BODY`].
    pub body: Vec<u8>,
}

/// Why there is no response. The texts are for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The time limit passed.
    #[error("no answer from {host} within {seconds} s")]
    Timeout {
        /// The server.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// No connection, or it broke.
    #[error("{host}: {reason}")]
    Connection {
        /// The server.
        host: String,
        /// What libcurl says.
        reason: String,
    },
    /// The server's certificate is not trusted, ours cannot be used, or TLS failed.
    #[error("TLS with {host} failed: {reason}")]
    Tls {
        /// The server.
        host: String,
        /// What libcurl says, and what to look at.
        reason: String,
    },
    /// The body is larger than any that makes sense.
    #[error("the answer of {host} is larger than {limit} octets", limit = Client::LARGEST_BODY)]
    TooLarge {
        /// The server.
        host: String,
    },
    /// A `file://` URL, and the file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
}

/// Sends requests and keeps connections open for the next.
#[derive(Default)]
pub struct Client {
    idle: Mutex<Vec<Easy2<Answer>>>,
    lookup: Lookup,
}

impl Client {
    /// The largest body that is read, in octets.
    pub const LARGEST_BODY: usize = 1 << 20;
    /// Connections that are kept while nobody uses them.
    const IDLE: usize = 8;

    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends one request, with `headers` of names and values, and waits for its answer.
    ///
    /// # Errors
    /// Whatever keeps an HTTP response from coming; a status of 4xx or 5xx is a response.
    pub fn send(
        &self,
        endpoint: &Endpoint,
        method: Method<'_>,
        headers: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        if let Some(path) = url::after_scheme(&endpoint.url, "file") {
            return read_file(path);
        }
        let deadline = Instant::now() + endpoint.timeout;
        let resolved = self.resolve(endpoint, deadline)?;
        let mut handle = self.take().unwrap_or_else(|| Easy2::new(Answer::default()));
        *handle.get_mut() = Answer::default();
        let result = configure(&mut handle, endpoint, method, headers)
            .and_then(|()| resolved.map_or(Ok(()), |entry| resolve_to(&mut handle, &entry)))
            .and_then(|()| limit(&mut handle, deadline))
            .and_then(|()| handle.perform());
        let answer = std::mem::take(handle.get_mut());
        let status = handle.response_code();
        self.give_back(handle);
        match result {
            Ok(()) => {
                Ok(Response { status: u16::try_from(status.unwrap_or(0)).unwrap_or(0), ..answer.response })
            }
            Err(error) => Err(failure(endpoint, &answer, &error)),
        }
    }

    /// Where the connection goes, in libcurl's words: `host:port:address,address`. `None` for what libcurl takes as it is.
    fn resolve(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Option<String>, Failure> {
        let fails =
            |reason: String| Failure::Connection { host: url::authority(&endpoint.url).to_owned(), reason };
        let target = Target::of_url(&endpoint.url).map_err(|reason| fails(reason.to_owned()))?;
        let target = endpoint.proxy.as_deref().map_or(target, Target::of_proxy);
        let Some(Target { host, port }) = target else { return Ok(None) };
        match self.lookup.addresses(host, deadline) {
            Ok(addresses) => {
                let addresses: Vec<String> =
                    addresses.iter().map(|address| url::in_brackets(*address)).collect();
                Ok(Some(format!("{host}:{port}:{}", addresses.join(","))))
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(timeout(endpoint)),
            Err(error) => Err(fails(format!("cannot find the address of {host}: {error}"))),
        }
    }

    fn take(&self) -> Option<Easy2<Answer>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Forgets what the request set; the connections stay with the handle.
    fn give_back(&self, mut handle: Easy2<Answer>) {
        handle.reset();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::IDLE {
            idle.push(handle);
        }
    }
}

fn configure(
    handle: &mut Easy2<Answer>,
    endpoint: &Endpoint,
    method: Method<'_>,
    headers: &[(&str, &str)],
) -> Result<(), curl::Error> {
    handle.url(&endpoint.url)?;
    // Signals belong to the server, and would interrupt any of its threads.
    handle.signal(false)?;
    handle.follow_location(false)?;
    handle.ssl_verify_peer(endpoint.verify_tls)?;
    handle.ssl_verify_host(endpoint.verify_tls)?;
    handle.useragent(concat!("mod_token_binding/", env!("CARGO_PKG_VERSION")))?;
    // The environment of the server's start is nobody's configuration: no proxy unless one is named.
    handle.proxy(endpoint.proxy.as_deref().unwrap_or(""))?;
    handle.noproxy("")?;
    if let Some(file) = &endpoint.ca_file {
        handle.cainfo(file)?;
        // The system's folder would be trusted besides. libcurl has no word for "none", and nothing is in this one.
        handle.capath("/dev/null")?;
    }
    if let Some((certificate, key)) = &endpoint.client_certificate {
        handle.ssl_cert(certificate)?;
        handle.ssl_key(key)?;
        // OpenSSL would ask the terminal for the passphrase of an encrypted key, and wait.
        handle.key_password("")?;
    }
    let mut list = List::new();
    list.append("Accept: application/json")?;
    // libcurl would wait for a "100 Continue" before it sends a longer form.
    list.append("Expect:")?;
    for (name, value) in headers {
        list.append(&format!("{name}: {value}"))?;
    }
    handle.http_headers(list)?;
    match method {
        Method::Get => handle.get(true),
        Method::PostForm(body) => {
            handle.post(true)?;
            handle.post_fields_copy(body)
        }
    }
}

/// Several addresses, so that libcurl tries the next where one does not answer.
fn resolve_to(handle: &mut Easy2<Answer>, entry: &str) -> Result<(), curl::Error> {
    let mut list = List::new();
    list.append(entry)?;
    handle.resolve(list)
}

fn limit(handle: &mut Easy2<Answer>, deadline: Instant) -> Result<(), curl::Error> {
    // To libcurl, zero is no limit.
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    handle.timeout(left)?;
    handle.connect_timeout(left)
}

fn timeout(endpoint: &Endpoint) -> Failure {
    let seconds = endpoint.timeout.as_secs().max(1);
    Failure::Timeout { host: url::authority(&endpoint.url).to_owned(), seconds }
}

fn failure(endpoint: &Endpoint, answer: &Answer, error: &curl::Error) -> Failure {
    let host = url::authority(&endpoint.url).to_owned();
    if answer.too_large {
        return Failure::TooLarge { host };
    }
    if error.is_operation_timedout() {
        return timeout(endpoint);
    }
    // One log line.
    let reason =
        error.extra_description().unwrap_or_else(|| error.description()).replace(char::is_control, " ");
    if error.is_peer_failed_verification() || error.is_ssl_cacert() {
        let hint =
            "is the CA in the ca_file option, or in the system's store, and is the name the certificate's?";
        return Failure::Tls { host, reason: format!("{reason} ({hint})") };
    }
    if error.is_ssl_certproblem() {
        return Failure::Tls {
            host,
            reason: format!("our client certificate or its key cannot be used: {reason}"),
        };
    }
    if error.is_ssl_connect_error() || error.is_ssl_cacert_badfile() {
        return Failure::Tls { host, reason };
    }
    Failure::Connection { host, reason }
}

fn read_file(path: &str) -> Result<Response, Failure> {
    let fails = |reason: String| Failure::File { path: path.to_owned(), reason };
    let read = || {
        // Opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut body = Vec::new();
        let limit = u64::try_from(Client::LARGEST_BODY).unwrap_or(u64::MAX).saturating_add(1);
        fs::File::open(path)?.take(limit).read_to_end(&mut body)?;
        Ok(body)
    };
    if !path.starts_with('/') {
        return Err(fails("a file URL has three slashes, file:///folder/file".to_owned()));
    }
    match read() {
        Ok(body) if body.len() > Client::LARGEST_BODY => Err(Failure::TooLarge { host: path.to_owned() }),
        Ok(body) => Ok(Response { status: 200, cache_control: None, body }),
        Err(error) => Err(fails(error.to_string())),
    }
}

/// Collects an answer as libcurl hands it over.
#[derive(Default)]
struct Answer {
    response: Response,
    too_large: bool,
}

impl Handler for Answer {
    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        if self.response.body.len().saturating_add(data.len()) > Client::LARGEST_BODY {
            self.too_large = true;
            // Fewer octets than offered: libcurl gives up.
            return Ok(0);
        }
        self.response.body.extend_from_slice(data);
        Ok(data.len())
    }

    fn header(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        if line.starts_with("HTTP/") {
            // An interim response's fields are not the answer's.
            self.response.cache_control = None;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("cache-control")
        {
            let value = value.trim();
            match &mut self.response.cache_control {
                Some(values) => *values = format!("{values}, {value}"),
                none => *none = Some(value.to_owned()),
            }
        }
        true
    }
}
