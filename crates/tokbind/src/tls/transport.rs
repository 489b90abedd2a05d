//! A plain blocking socket below TLS, for callers without an asynchronous runtime.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Octets read at once: a TLS record at its largest (RFC 8446 §5.1) takes two turns.
const CHUNK: usize = 16 * 1024;

/// A blocking TCP stream. It is never "not ready", except that its read or write timeout passes.
#[derive(Debug)]
pub struct Blocking(pub(super) TcpStream);

/// The result of something that only waits for [`Blocking`] streams, so that one poll ends it.
///
/// # Errors
///
/// `TimedOut`: the socket's timeout passed.
pub(super) fn block_on<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> io::Result<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(io::Error::new(io::ErrorKind::TimedOut, "the peer was silent for too long")),
    }
}

/// A blocking operation as a poll: a passed timeout is "pending", and interruptions are tried again.
fn poll_blocking<T>(mut operation: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Poll::Pending;
            }
            result => return Poll::Ready(result),
        }
    }
}

impl Read for Blocking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; CHUNK];
        let (room, _) = chunk.split_at_mut(buffer.remaining().min(CHUNK));
        poll_blocking(|| self.0.read(room)).map_ok(|count| buffer.put_slice(room.get(..count).unwrap_or(&[])))
    }
}

impl Write for Blocking {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        poll_blocking(|| self.0.write(octets))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_blocking(|| self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}

/// What `HttpsLayer` asks of a transport; nothing here depends on it.
impl Connection for Blocking {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
