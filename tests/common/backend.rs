//! A server behind httpd that says what reached it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openssl::ssl::{SslAcceptor, SslMethod};

use super::certificates::pki;

/// Answers each request with its own head, verbatim, as text/plain; `GET /redirect` with a redirect. Stops when dropped.
pub struct Backend {
    port: u16,
    record: Arc<Record>,
    acceptor: Option<JoinHandle<()>>,
}

/// From a request's head to a status (and more fields, if need be), a content type and a body.
type Answers = Box<dyn Fn(&str) -> (&'static str, &'static str, String) + Send + Sync>;

/// What was received, in the order of arrival.
struct Record {
    answers: Answers,
    stopped: AtomicBool,
    heads: Mutex<Vec<String>>,
    client_hellos: Mutex<Vec<Vec<u8>>>,
}

impl Backend {
    /// A backend without TLS.
    pub fn http() -> Self {
        Self::start(None, Box::new(echo))
    }

    /// A backend with TLS and the certificate `server` of the test CA, which records every ClientHello.
    pub fn https() -> Self {
        Self::answering(echo)
    }

    /// The same, with answers of its own: from a request's head to a status, a content type and a body.
    pub fn answering(
        answers: impl Fn(&str) -> (&'static str, &'static str, String) + Send + Sync + 'static,
    ) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("a context");
        acceptor.set_certificate(&pki().server.certificate).expect("a certificate");
        acceptor.set_private_key(&pki().server.key).expect("its key");
        Self::start(Some(acceptor.build()), Box::new(answers))
    }

    fn start(tls: Option<SslAcceptor>, answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let record = Arc::new(Record {
            answers,
            stopped: AtomicBool::new(false),
            heads: Mutex::default(),
            client_hellos: Mutex::default(),
        });
        let shared = Arc::clone(&record);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                // A connection that breaks is the proxy's affair; its test sees the answer.
                thread::spawn(move || drop(serve(stream, tls.as_ref(), &shared)));
            }
        });
        Self { port, record, acceptor: Some(acceptor) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The heads of all requests until now, without the empty line.
    pub fn heads(&self) -> Vec<String> {
        self.record.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The extension types (RFC 8446 §4.2) of every ClientHello until now.
    pub fn offered_extensions(&self) -> Vec<Vec<u16>> {
        let hellos = self.record.client_hellos.lock().unwrap_or_else(PoisonError::into_inner);
        hellos.iter().map(|hello| extension_types(hello).expect("httpd sends well-formed messages")).collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.record.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

/// The head, with a redirect for the path `/redirect`.
fn echo(head: &str) -> (&'static str, &'static str, String) {
    let status = if head.starts_with("GET /redirect ") {
        "302 Found\r\nLocation: https://elsewhere.test/"
    } else {
        "200 OK"
    };
    (status, "text/plain", head.to_owned())
}

fn serve(stream: TcpStream, tls: Option<&SslAcceptor>, record: &Record) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let Some(tls) = tls else { return answer_requests(stream, record) };
    let hello = peek_client_hello(&stream)?;
    record.client_hellos.lock().unwrap_or_else(PoisonError::into_inner).push(hello);
    answer_requests(tls.accept(stream).map_err(io::Error::other)?, record)
}

fn answer_requests(stream: impl Read + Write, record: &Record) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(head) = read_head(&mut stream)? else { return Ok(()) };
        skip_body(&mut stream, &head)?;
        let (status, content_type, body) = (record.answers)(&head);
        record.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        let length = body.len();
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
    }
}

/// A request's head up to its empty line; `None` at the end of the connection.
fn read_head(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    head.truncate(head.len() - 2);
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// mod_proxy_http forwards bodies with Content-Length, or chunked where it does not know the length.
fn skip_body(stream: &mut impl BufRead, head: &str) -> io::Result<()> {
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
    };
    let mut skip = |octets: u64| io::copy(&mut stream.by_ref().take(octets), &mut io::sink());
    if let Some((_, length)) = field("Content-Length") {
        return skip(length.trim().parse().map_err(io::Error::other)?).map(drop);
    }
    while field("Transfer-Encoding").is_some() {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        io::copy(&mut stream.by_ref().take(size + 2), &mut io::sink())?;
        if size == 0 {
            break;
        }
    }
    Ok(())
}

/// The ClientHello handshake message, left in the socket for OpenSSL. It fits one record.
fn peek_client_hello(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; 5 + (1 << 14)];
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = stream.peek(&mut octets)?;
        // RFC 8446 §5.1: type (1), legacy version (2), length (2), fragment.
        if let Some(&[_, _, _, high, low]) = octets.get(..5).filter(|_| seen >= 5) {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if seen >= 5 + length {
                return Ok(octets[5..5 + length].to_vec());
            }
        }
        if seen == 0 || Instant::now() > deadline {
            return Err(io::Error::other("the connection ended before a ClientHello"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The extension types of a ClientHello handshake message, in order (RFC 8446 §4.1.2).
fn extension_types(hello: &[u8]) -> Option<Vec<u16>> {
    // msg_type (1), length (3), legacy_version (2), random (32)
    let rest = hello.get(38..)?;
    let rest = skip_vector::<1>(rest)?; // legacy_session_id
    let rest = skip_vector::<2>(rest)?; // cipher_suites
    let rest = skip_vector::<1>(rest)?; // legacy_compression_methods
    let mut rest = rest.get(2..)?; // length of the extensions
    let mut types = Vec::new();
    while let Some((code, after)) = rest.split_first_chunk::<2>() {
        types.push(u16::from_be_bytes(*code));
        rest = skip_vector::<2>(after)?;
    }
    Some(types)
}

/// What follows a vector whose length has `WIDTH` octets.
fn skip_vector<const WIDTH: usize>(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first_chunk::<WIDTH>()?;
    let length = length.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
    rest.get(length..)
}
