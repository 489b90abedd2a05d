//! Servers on 127.0.0.1 that behave as a test wants, and certificates for them.

// Each test binary includes this file and uses its own part of it.
#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod certificates;
pub mod redis_server;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslVerifyMode};

/// A connection that a server accepted, in whatever it is wrapped.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A listening server; its threads end with the test binary.
pub struct Server {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// A thread per connection runs `talk`.
    pub fn start(talk: impl Fn(&mut dyn Stream) + Send + Sync + 'static) -> Self {
        Self::wrapped(move |tcp| talk(&mut { tcp }))
    }

    /// The same behind TLS; connections without a handshake end.
    pub fn start_tls(acceptor: SslAcceptor, talk: impl Fn(&mut dyn Stream) + Send + Sync + 'static) -> Self {
        Self::wrapped(move |tcp| {
            if let Ok(mut tls) = acceptor.accept(tcp) {
                talk(&mut tls);
            }
        })
    }

    fn wrapped(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (talk, count) = (Arc::new(talk), Arc::clone(&accepted));
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let talk = Arc::clone(&talk);
                thread::spawn(move || talk(tcp));
            }
        });
        Self { port, accepted }
    }

    /// Accepts and never says a word.
    pub fn silent() -> Self {
        Self::start(|stream| {
            let _ = stream.read_to_end(&mut Vec::new());
        })
    }

    /// Sends `octets` one by one, for ever.
    pub fn trickling(octets: &'static [u8], pause: Duration) -> Self {
        Self::start(move |stream| {
            for octet in octets.iter().cycle() {
                if stream.write_all(&[*octet]).is_err() {
                    return;
                }
                thread::sleep(pause);
            }
        })
    }

    /// Answers each request with what `answer` makes of it, on connections that are kept.
    pub fn http(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |stream| converse(stream, &answer))
    }

    /// How many TCP connections came.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/keys", self.port)
    }
}

/// Reads requests and writes answers until the client goes.
pub fn converse(stream: &mut dyn Stream, answer: &dyn Fn(&str) -> String) {
    while let Some(request) = read_request(stream) {
        if stream.write_all(answer(&request).as_bytes()).is_err() {
            return;
        }
    }
}

/// A response that leaves the connection open.
pub fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Head and body.
fn read_request(stream: &mut dyn Stream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).ok()?;
        request.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let length: usize = rest.lines().next()?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        request.extend(body);
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

/// A TLS server with `name`.pem and `name`.key of the certificates' folder. With `clients`: only for clients with a
/// certificate of our CA.
pub fn acceptor(certificates: &certificates::Folder, name: &str, clients: bool) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate_chain_file(certificates.file(&format!("{name}.pem"))).unwrap();
    builder.set_private_key_file(certificates.file(&format!("{name}.key")), SslFiletype::PEM).unwrap();
    if clients {
        builder.set_ca_file(certificates.file("ca.pem")).unwrap();
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    builder.build()
}

/// What `work` gives, and that it took `limit`, and no second more.
pub fn within_a_second_of<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    assert!(
        took >= limit.mul_f32(0.9) && took <= limit + Duration::from_secs(1),
        "{took:?}, and the limit is {limit:?}"
    );
    result
}

/// Runs one test of this binary in a process with other environment variables.
pub fn again_with_environment(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test]).envs(variables.iter().copied()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}
