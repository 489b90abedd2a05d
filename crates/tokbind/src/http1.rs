//! HTTP/1.1 (RFC 9112) as raw octets: requests are sent as given, however wrong, and responses are read to their end.
//!
//! Enough for tests and no more: no pipelining of bodies, no trailers kept, nothing decoded but `chunked`.

use std::io::{self, Read, Write};
use std::str;

/// The longest head and the longest body that are taken from a server, in octets.
const MAX_HEAD: usize = 256 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Octets read at once.
const CHUNK: usize = 16 * 1024;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended before the response began: this is how a server refuses without words.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The connection ended within a response.
    #[error("the server closed the connection within its answer")]
    Truncated,
    /// The response is no HTTP/1.1, or longer than anything a test expects.
    #[error("the server's answer is no HTTP/1.1: {0}")]
    Malformed(&'static str),
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields in their order; names as they came, values without the white space around them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The content, with `chunked` taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first field of this name (case-insensitive), if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).first().and_then(|value| str::from_utf8(value).ok())
    }

    /// The values of all fields of this name (case-insensitive).
    pub fn headers_named(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
    }

    /// The content as text; octets that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether a field that is a list of words has this word (RFC 9110 §5.6.1), in any case.
    fn lists(&self, name: &str, word: &str) -> bool {
        self.headers_named(name)
            .into_iter()
            .flat_map(|value| value.split(|&octet| octet == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The length that the response says its body has.
    fn content_length(&self) -> Result<Option<usize>, Error> {
        let Some(text) = self.header("Content-Length") else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(Error::Malformed("its Content-Length is no number"));
        }
        text.parse().map(Some).map_err(|_| Error::Malformed("its Content-Length is too large"))
    }
}

/// A client's end of a connection: [`crate::tls::TlsConnection`], or a `TcpStream` for plain HTTP.
pub struct Client<S> {
    stream: S,
    /// Octets that were read and belong to the next response.
    rest: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    /// A client on a connection that nothing was read from yet.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// The connection, such as to ask for its EKM.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The connection, to do something else with it.
    #[must_use]
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends a request, head and body, as it is, and reads its response.
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Result<Response, Error> {
        let request = request.as_ref();
        self.send(request)?;
        self.receive(request.starts_with(b"HEAD "))
    }

    /// Sends a `GET` with a `Host` field and these fields.
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub fn get(&mut self, path: &str, host: &str, fields: &[(&str, &str)]) -> Result<Response, Error> {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        self.exchange(request)
    }

    /// Sends octets.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(octets.as_ref())?;
        self.stream.flush()
    }

    /// Reads one response. Interim ones (1xx) are passed over.
    ///
    /// `to_head`: the request was a `HEAD`, so that the response has no body whatever it says (RFC 9112 §6.3).
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub fn receive(&mut self, to_head: bool) -> Result<Response, Error> {
        loop {
            let mut response = self.read_head()?;
            // RFC 9110 §15.2: any number of 1xx come before the final response. 101 ends HTTP on this connection.
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            // RFC 9112 §6.3: which responses have no body, and how long the others' is.
            response.body = if to_head || matches!(response.status, 101 | 204 | 304) {
                Vec::new()
            } else if response.lists("Transfer-Encoding", "chunked") {
                self.read_chunked()?
            } else if let Some(length) = response.content_length()? {
                self.take(length)?
            } else {
                self.read_to_close()?
            };
            return Ok(response);
        }
    }

    fn read_head(&mut self) -> Result<Response, Error> {
        let mut head = Vec::new();
        loop {
            let line = self.read_line().map_err(|error| match error {
                Error::Truncated if head.is_empty() && self.rest.is_empty() => Error::Closed,
                error => error,
            })?;
            match line.as_slice() {
                [] if head.is_empty() => {} // RFC 9112 §2.2: robustness against an empty line in front
                [] => return parse_head(&head),
                _ => head.push(line),
            }
            if head.iter().map(Vec::len).sum::<usize>() > MAX_HEAD {
                return Err(Error::Malformed("its head is too long"));
            }
        }
    }

    /// RFC 9112 §7.1. Chunk extensions and trailers are read and dropped.
    fn read_chunked(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = line.split(|&octet| octet == b';').next().unwrap_or_default().trim_ascii();
            let size = str::from_utf8(size)
                .ok()
                .filter(|size| size.bytes().all(|octet| octet.is_ascii_hexdigit()))
                .and_then(|size| usize::from_str_radix(size, 16).ok())
                .ok_or(Error::Malformed("a chunk has no size"))?;
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            if size > MAX_BODY - body.len() {
                return Err(Error::Malformed("its body is too long"));
            }
            body.extend(self.take(size)?);
            if !self.read_line()?.is_empty() {
                return Err(Error::Malformed("a chunk is longer than its size"));
            }
        }
    }

    fn read_to_close(&mut self) -> Result<Vec<u8>, Error> {
        while self.fill()? {
            if self.rest.len() > MAX_BODY {
                return Err(Error::Malformed("its body is too long"));
            }
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// A line without its end.
    fn read_line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|&octet| octet == b'\n') {
                let mut line = self.take(end + 1)?;
                line.pop();
                line.pop_if(|octet| *octet == b'\r');
                return Ok(line);
            }
            if self.rest.len() > MAX_HEAD {
                return Err(Error::Malformed("a line is too long"));
            }
            if !self.fill()? {
                return Err(Error::Truncated);
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        if length > MAX_BODY {
            return Err(Error::Malformed("its body is too long"));
        }
        while self.rest.len() < length {
            if !self.fill()? {
                return Err(Error::Truncated);
            }
        }
        let rest = self.rest.split_off(length);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// Reads some more octets; `false` at the end of the connection.
    fn fill(&mut self) -> Result<bool, Error> {
        let mut chunk = [0; CHUNK];
        let count = self.stream.read(&mut chunk)?;
        self.rest.extend(chunk.iter().take(count));
        Ok(count > 0)
    }
}

fn parse_head(lines: &[Vec<u8>]) -> Result<Response, Error> {
    let (first, fields) = lines.split_first().ok_or(Error::Malformed("it has no status line"))?;
    let line = String::from_utf8_lossy(first);
    let mut words = line.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    if !version.starts_with("HTTP/1.") {
        return Err(Error::Malformed("it has no status line"));
    }
    let status = words
        .next()
        .and_then(|status| status.parse().ok())
        .ok_or(Error::Malformed("its status is no number"))?;
    let headers = fields.iter().map(|line| parse_field(line)).collect::<Result<_, _>>()?;
    Ok(Response { status, reason: words.next().unwrap_or_default().to_owned(), headers, body: Vec::new() })
}

/// RFC 9112 §5.
fn parse_field(line: &[u8]) -> Result<(String, Vec<u8>), Error> {
    let colon = line.iter().position(|&octet| octet == b':');
    let (name, value) = colon
        .and_then(|colon| Some((line.get(..colon)?, line.get(colon + 1..)?)))
        .ok_or(Error::Malformed("a header field has no colon"))?;
    Ok((String::from_utf8_lossy(name).into_owned(), value.trim_ascii().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose other end has said everything beforehand, a few octets at a time.
    struct Script {
        answers: Vec<u8>,
        step: usize,
        sent: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(buffer.len()).min(self.answers.len());
            let rest = self.answers.split_off(count);
            buffer[..count].copy_from_slice(&self.answers);
            self.answers = rest;
            Ok(count)
        }
    }

    impl Write for Script {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.sent.extend(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn client(answers: &str, step: usize) -> Client<Script> {
        Client::new(Script { answers: answers.as_bytes().to_vec(), step, sent: Vec::new() })
    }

    const TWO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\nhello\
        HTTP/1.1 404 Not Found\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n";

    #[test]
    fn responses_on_one_connection() {
        for step in [1, 2, 7, 4096] {
            let mut client = client(TWO, step);
            let first = client.get("/a", "h", &[("X", "y")]).unwrap();
            assert_eq!((first.status, first.reason.as_str(), first.text()), (200, "OK", "hello".into()));
            assert_eq!(first.headers_named("SET-COOKIE"), [b"a", b"b"]);
            let second = client.exchange("GET / HTTP/1.1\r\n\r\n").unwrap();
            assert_eq!((second.status, second.reason.as_str()), (404, "Not Found"));
            assert_eq!(second.body, b"abc0123456789");
            assert!(matches!(client.receive(false), Err(Error::Closed)));
            assert!(client.stream().sent.starts_with(b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\nGET / "));
        }
    }

    #[test]
    fn bodies_that_are_not_there() {
        let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(client(head, 9).exchange("HEAD / HTTP/1.1\r\n\r\n").unwrap().body, b"");
        for status in [204, 304] {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(client(&answer, 9).receive(false).unwrap().body, b"");
        }
        assert_eq!(client("HTTP/1.0 200\r\n\r\nto the end", 9).receive(false).unwrap().body, b"to the end");
    }

    #[test]
    fn what_is_no_response() {
        let fault = |answer| client(answer, 9).receive(false).unwrap_err();
        assert!(matches!(fault(""), Error::Closed));
        assert!(matches!(fault("HTTP/1.1 200 OK\r\n"), Error::Truncated));
        assert!(matches!(fault("HTTP"), Error::Truncated));
        assert!(matches!(fault("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), Error::Truncated));
        for answer in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ] {
            assert!(matches!(fault(answer), Error::Malformed(_)), "{answer}");
        }
    }
}
