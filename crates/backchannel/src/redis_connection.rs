//! One connection to redis, whose every operation ends at a deadline.
//!
//! The redis crate writes the commands and reads the answers. Its own connections have a limit for each read and none for
//! the TLS handshake, so that a server which accepts and says nothing would hold a worker for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use openssl::ssl::{HandshakeError, SslConnector, SslStream};
use redis::{Cmd, Parser, Value};

/// Why a command has no answer. The texts never repeat what was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or never came to be.
    #[error("{0}")]
    Io(io::Error),
    /// The server's certificate is not trusted, or it does not speak TLS.
    #[error(
        "TLS failed: {0} (is the CA in the ca_file option, or in the system's store, and is the name the certificate's?)"
    )]
    Tls(String),
    /// An error of redis: wrong password, not permitted, out of memory.
    #[error("it answers {0:?}")]
    Refused(String),
    /// Not the protocol, or not an answer to this command.
    #[error("its answer is not redis's")]
    Garbage,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::TimedOut { Self::Timeout } else { Self::Io(error) }
    }
}

/// An open connection.
pub struct Connection {
    stream: Stream,
    parser: Parser,
}

impl Connection {
    /// The largest answer that is read, in octets.
    const LARGEST_ANSWER: u64 = 4 << 20;

    /// Connects to the first of `addresses` that accepts, with TLS where there is a `tls` connector.
    pub fn open(
        addresses: &[SocketAddr],
        tls: Option<(&SslConnector, &str)>,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let tcp = Timed { tcp: connect(addresses, deadline)?, deadline };
        let stream = match tls {
            None => Stream::Plain(tcp),
            Some((connector, name)) => Stream::Tls(connector.connect(name, tcp).map_err(handshake_error)?),
        };
        Ok(Self { stream, parser: Parser::new() })
    }

    /// Sends a command and reads its answer. After an error the connection is of no more use.
    pub fn ask(&mut self, command: &Cmd, deadline: Instant) -> Result<Value, Error> {
        self.stream.set_deadline(deadline);
        self.stream.write_all(&command.get_packed_command())?;
        self.stream.flush()?;
        match self.parser.parse_value((&mut self.stream).take(Self::LARGEST_ANSWER)) {
            Ok(Value::ServerError(error)) => Err(Error::Refused(refusal(error.code(), error.details()))),
            Ok(value) => Ok(value),
            Err(error) if error.is_timeout() => Err(Error::Timeout),
            // The end of the stream in the middle of an answer, too.
            Err(error) if error.is_io_error() => Err(Error::Io(io::Error::other(error.to_string()))),
            Err(_) => Err(Error::Garbage),
        }
    }
}

/// The words of redis, without the arguments that it repeats for an unknown command: AUTH has the password there.
fn refusal(code: &str, details: Option<&str>) -> String {
    let details = details.unwrap_or_default();
    let details = details.split(", with args").next().unwrap_or(details);
    format!("{code} {details}").trim_end().to_owned()
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Error> {
    let mut result = Err(Error::Io(io::Error::new(ErrorKind::NotFound, "its name has no address")));
    for address in addresses {
        match TcpStream::connect_timeout(address, left(deadline)?) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => result = Err(error.into()),
        }
    }
    result
}

fn handshake_error(error: HandshakeError<Timed>) -> Error {
    match error {
        HandshakeError::SetupFailure(stack) => Error::Tls(stack.to_string()),
        HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream) => {
            let verdict = stream.ssl().verify_result();
            match stream.into_error().into_io_error() {
                Ok(error) => error.into(),
                Err(_) if verdict != openssl::x509::X509VerifyResult::OK => {
                    Error::Tls(verdict.error_string().to_owned())
                }
                Err(error) => Error::Tls(error.to_string()),
            }
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

enum Stream {
    Plain(Timed),
    Tls(SslStream<Timed>),
}

impl Stream {
    fn set_deadline(&mut self, deadline: Instant) {
        match self {
            Self::Plain(timed) => timed.deadline = deadline,
            Self::Tls(tls) => tls.get_mut().deadline = deadline,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(octets),
            Self::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A socket that fails with `TimedOut` once its deadline has passed.
struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| {
            self.tcp.set_read_timeout(Some(left(self.deadline)?))?;
            self.tcp.read(buffer)
        })
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        retry(|| {
            self.tcp.set_write_timeout(Some(left(self.deadline)?))?;
            self.tcp.write(octets)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// With a time limit on the socket, any signal of the server's interrupts the call, and its end is called `WouldBlock`,
/// which OpenSSL would take for an invitation to try again.
fn retry(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_repeat_the_password() {
        let details = "unknown command 'AUTH', with args beginning with: 'secret' ";
        assert_eq!(refusal("ERR", Some(details)), "ERR unknown command 'AUTH'");
        assert_eq!(refusal("LOADING", None), "LOADING");
    }
}
