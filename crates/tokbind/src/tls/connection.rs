//! An open TLS connection.

use super::error::Error;
use super::extension::SharedExchange;
use super::transport::{Blocking, block_on};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_openssl::SslStream;
use openssl::error::ErrorStack;
use openssl::ssl::SslRef;
use openssl::x509::X509;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use token_binding::secret::{EKM_LEN, EXPORTER_LABEL};
use token_binding::{Ekm, Negotiated};

/// An open TLS connection over `T`: over [`Blocking`], with `std::io::Read` and `std::io::Write`; over an asynchronous
/// transport, with hyper's traits. Dropping it sends `close_notify`, which keeps its session resumable.
pub struct TlsConnection<T: Read + Write + Unpin> {
    stream: SslStream<T>,
    exchange: SharedExchange,
}

impl<T: Read + Write + Unpin> TlsConnection<T> {
    pub(super) fn new(stream: SslStream<T>, exchange: SharedExchange) -> Result<Self, Error> {
        // RFC 8472 §4: up to TLS 1.2 the answer is wrong without extended_master_secret. OpenSSL tells of that only now,
        // too late for the alert, so the connection is closed before it carries anything.
        exchange.negotiated(stream.ssl())?;
        Ok(Self { stream, exchange })
    }

    /// What the latest handshake agreed on. A renegotiation up to TLS 1.2 may change it (RFC 8472 §4).
    ///
    /// `None`: nothing was offered, the server did not answer or speaks a lower version only, or its answer is one that
    /// RFC 8472 §4 forbids (which only a connection with [`super::Offer::Raw`] outlives, or a renegotiated one).
    #[must_use]
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.exchange.negotiated(self.ssl()).unwrap_or_default()
    }

    /// The server's `extension_data` in the latest handshake, as it came.
    #[must_use]
    pub fn reply(&self) -> Option<Vec<u8>> {
        self.exchange.reply()
    }

    /// The exported keying material that a message has to be signed under now (RFC 8471 §3.3). It is exported anew each
    /// time, since a renegotiation changes it.
    ///
    /// # Errors
    ///
    /// OpenSSL's, such as during a handshake.
    pub fn ekm(&self) -> Result<Ekm, ErrorStack> {
        let mut ekm = [0; EKM_LEN];
        // RFC 8471 §3.3: no context, which up to TLS 1.2 differs from an empty one (RFC 5705 §4).
        self.ssl().export_keying_material(&mut ekm, EXPORTER_LABEL, None)?;
        Ok(Ekm::new(ekm))
    }

    /// The protocol version in OpenSSL's words: `TLSv1.2`, `TLSv1.3`.
    #[must_use]
    pub fn tls_version(&self) -> &'static str {
        self.ssl().version_str()
    }

    /// The application protocol that the server selected (RFC 7301), such as `h2`.
    #[must_use]
    pub fn alpn(&self) -> Option<String> {
        self.ssl().selected_alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Whether the handshake resumed the session of an earlier connection.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.ssl().session_reused()
    }

    /// The server's certificate.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<X509> {
        self.ssl().peer_certificate()
    }

    /// OpenSSL's view of the connection.
    #[must_use]
    pub fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }

    /// What lies below TLS.
    #[must_use]
    pub fn transport(&self) -> &T {
        self.stream.get_ref()
    }
}

impl TlsConnection<Blocking> {
    /// The socket, to set timeouts or to close it under the server's feet.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.transport().0
    }
}

impl<T: Read + Write + Unpin> Drop for TlsConnection<T> {
    fn drop(&mut self) {
        // Without a close_notify OpenSSL takes the session for a bad one, that must not be resumed (SSL_clear(3)). Whether
        // the peer still listens does not matter.
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

impl io::Read for TlsConnection<Blocking> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        block_on(|context| Pin::new(&mut self.stream).poll_read(context, buffer.unfilled()))??;
        Ok(buffer.filled().len())
    }
}

impl io::Write for TlsConnection<Blocking> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        block_on(|context| Pin::new(&mut self.stream).poll_write(context, octets))?
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(|context| Pin::new(&mut self.stream).poll_flush(context))?
    }
}

impl<T: Read + Write + Unpin> Read for TlsConnection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: Read + Write + Unpin> Write for TlsConnection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
