//! A FastCGI application that keeps what it was told. mod_proxy_fcgi sends the variables of a chunked request only when it
//! has read the body, so this is where trailers could turn into variables.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The variables of one request.
pub type Parameters = BTreeMap<String, String>;

/// Answers each request with an empty page. Stops when dropped.
pub struct FastCgi {
    port: u16,
    record: Arc<Record>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Record {
    stopped: AtomicBool,
    requests: Mutex<Vec<Parameters>>,
}

// FastCGI Specification 1.0 §8
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

impl FastCgi {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                // mod_proxy_fcgi opens a connection for each request; one that breaks shows in the test's answer.
                drop(serve(stream, &shared));
            }
        });
        Self { port, record, acceptor: Some(acceptor) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The variables of the last request.
    pub fn last(&self) -> Parameters {
        let requests = self.record.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.last().expect("a request reached the application").clone()
    }
}

impl Drop for FastCgi {
    fn drop(&mut self) {
        self.record.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn serve(mut stream: TcpStream, record: &Record) -> io::Result<()> {
    let mut parameters = Vec::new();
    loop {
        // §3.3: version, type, request ID (2), content length (2), padding length, reserved
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let [_, kind, _, _, high, low, padding, _] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut content = vec![0; length + usize::from(padding)];
        stream.read_exact(&mut content)?;
        content.truncate(length);
        match kind {
            PARAMS => parameters.extend(content),
            // An empty record ends a stream of them.
            STDIN if length == 0 => break,
            _ => {}
        }
    }
    let parameters = name_value_pairs(&parameters).expect("httpd sends well-formed pairs");
    record.requests.lock().unwrap_or_else(PoisonError::into_inner).push(parameters);
    let page = b"Content-Type: text/plain\r\n\r\n";
    for (kind, content) in [(STDOUT, page.as_slice()), (STDOUT, &[]), (END_REQUEST, &[0; 8])] {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        stream.write_all(&[1, kind, 0, 1, length[0], length[1], 0, 0])?;
        stream.write_all(content)?;
    }
    Ok(())
}

/// §3.4: lengths of one octet, or of four with the highest bit set.
fn name_value_pairs(mut rest: &[u8]) -> Option<Parameters> {
    let mut pairs = Parameters::new();
    while !rest.is_empty() {
        let name = take_length(&mut rest)?;
        let value = take_length(&mut rest)?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        pairs.insert(text(rest.get(..name)?), text(rest.get(name..name + value)?));
        rest = rest.get(name + value..)?;
    }
    Some(pairs)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (&first, after) = rest.split_first()?;
    if first & 0x80 == 0 {
        *rest = after;
        return Some(usize::from(first));
    }
    let (long, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    usize::try_from(u32::from_be_bytes(*long) & 0x7fff_ffff).ok()
}
