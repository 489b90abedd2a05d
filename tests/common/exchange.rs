//! One HTTP/1.1 exchange on a connection of its own, for servers and hosts where Token Binding is not the matter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

use super::process::patience;

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Name and value, in the order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The value of the first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of `NAME=value` in the output of env.cgi.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

/// GET without TLS; `fields` are whole lines without line ends.
pub fn get_plain(address: SocketAddr, host: &str, path: &str, fields: &[&str]) -> Answer {
    let mut stream = connect(address);
    get(&mut stream, host, path, fields)
}

/// POST of a form without TLS.
pub fn post_plain(address: SocketAddr, host: &str, path: &str, fields: &[&str], form: &str) -> Answer {
    let length = format!("Content-Length: {}", form.len());
    let fields = [&["Content-Type: application/x-www-form-urlencoded", &length], fields].concat();
    exchange(&mut connect(address), &format!("POST {path}"), host, &fields, form)
}

/// GET over TLS, without Token Binding, without checking the certificate.
pub fn get_tls(address: SocketAddr, host: &str, path: &str, fields: &[&str]) -> Answer {
    get(&mut connect_tls(address, host), host, path, fields)
}

/// A TLS connection of stock OpenSSL.
pub fn connect_tls(address: SocketAddr, host: &str) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("a context");
    connector.set_verify(SslVerifyMode::NONE);
    let configuration = connector.build().configure().expect("a configuration").verify_hostname(false);
    configuration.connect(host, connect(address)).expect("a TLS handshake")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(patience(15))).expect("a timeout");
    stream
}

fn get(stream: &mut (impl Read + Write), host: &str, path: &str, fields: &[&str]) -> Answer {
    exchange(stream, &format!("GET {path}"), host, fields, "")
}

fn exchange(
    stream: &mut (impl Read + Write),
    request: &str,
    host: &str,
    fields: &[&str],
    body: &str,
) -> Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n{body}");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut octets = Vec::new();
    // mod_ssl closes with close_notify; a reset afterwards is no matter of these tests.
    let _ = stream.read_to_end(&mut octets);
    parse(&String::from_utf8_lossy(&octets))
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response, but {text:?}"));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut answer = Answer {
        status: status.unwrap_or_else(|| panic!("no status line: {head}")),
        headers: fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
        body: body.to_owned(),
    };
    if answer.header("Transfer-Encoding") == Some("chunked") {
        answer.body = unchunk(body);
    }
    answer
}

/// RFC 9112 §7.1, for text.
fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
        if size == 0 {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    body
}
