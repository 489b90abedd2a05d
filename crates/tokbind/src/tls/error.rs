//! What can go wrong before there is a connection, and the alerts behind it.

use openssl::error::ErrorStack;
use openssl::ssl;
use openssl::x509::X509VerifyResult;
use std::error::Error as StdError;
use std::io;
use token_binding::ServerFault;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// OpenSSL does not take a setting: a certificate that does not fit its key, a CA file that cannot be read.
    #[error("cannot set up TLS: {0}")]
    Settings(#[from] ErrorStack),
    /// The name can stand in no URI, and so in no certificate.
    #[error("\"{0}\" is not a host name")]
    Name(String),
    /// An ALPN name has 1 to 255 octets (RFC 7301 §3.1).
    #[error("an application protocol's name has 1 to 255 octets")]
    Protocol,
    /// The TCP connection could not be opened, or ended, or the peer was silent for too long.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {reason}")]
    Handshake {
        /// OpenSSL's words.
        reason: String,
        /// The alert that the server sent, as a number of RFC 8446 §6, if it sent one.
        alert: Option<u8>,
    },
    /// The server's answer to the extension breaks RFC 8472 §4, so the client ended the connection.
    #[error("{0}")]
    ServerFault(#[from] ServerFault),
}

impl Error {
    /// The number of the alert that the server ended the handshake with (RFC 8446 §6), if it did.
    #[must_use]
    pub const fn alert(&self) -> Option<u8> {
        match self {
            Self::Handshake { alert, .. } => *alert,
            _ => None,
        }
    }

    /// Sorts what the connector gave: an OpenSSL error, or an I/O error inside one.
    pub(super) fn from_connector(error: Box<dyn StdError + Send + Sync>) -> Self {
        let error = match error.downcast::<ErrorStack>() {
            Ok(stack) => return Self::Settings(*stack),
            Err(error) => error,
        };
        match error.source().and_then(|source| source.downcast_ref::<ssl::Error>()) {
            Some(cause) => Self::handshake(cause, error.to_string()),
            None => Self::Handshake { reason: error.to_string(), alert: None },
        }
    }

    /// The same of a handshake that failed, in the words of the connector.
    pub(super) fn from_handshake(error: &ssl::Error, certificate: X509VerifyResult) -> Self {
        let reason = match certificate {
            X509VerifyResult::OK => error.to_string(),
            wrong => format!("{error}: {wrong}"),
        };
        Self::handshake(error, reason)
    }

    fn handshake(error: &ssl::Error, reason: String) -> Self {
        match error.io_error() {
            Some(io) => Self::Io(io::Error::new(io.kind(), format!("{io} during the TLS handshake"))),
            None => Self::Handshake { reason, alert: alert_received(error) },
        }
    }
}

/// The alert that an error of a TLS stream stands for, as a number of RFC 8446 §6.
///
/// With TLS 1.3 a server's refusal of a client certificate arrives only with the first reading, as an [`io::Error`].
#[must_use]
pub fn alert_received(error: &(dyn StdError + 'static)) -> Option<u8> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(stack) = error.downcast_ref::<ssl::Error>().and_then(ssl::Error::ssl_error) {
            return stack.errors().iter().find_map(alert_number);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // `source` of an `io::Error` would skip the very error it was made from
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// OpenSSL gives alert `n` from the peer as reason `SSL_AD_REASON_OFFSET + n` (ssl.h).
fn alert_number(error: &openssl::error::Error) -> Option<u8> {
    const SSL_AD_REASON_OFFSET: i32 = 1000;
    error.reason_code().checked_sub(SSL_AD_REASON_OFFSET).and_then(|number| u8::try_from(number).ok())
}
