//! TLS connections with the `token_binding` extension (RFC 8472), through the system's OpenSSL.
//!
//! A [`Connector`] is made once by a [`ConnectorBuilder`] and opens any number of connections. By default it behaves as
//! RFC 8472 §4 wants a client to; with [`Offer::Raw`] it sends whatever octets it is told and judges nothing.

mod connection;
mod connector;
mod error;
mod extension;
mod transport;

pub use connection::TlsConnection;
pub use connector::{Connector, ConnectorBuilder, Identity};
pub use error::{Error, alert_received};
pub use extension::Offer;
pub use transport::Blocking;

/// The ALPN name of HTTP/1.1 (RFC 7301 §6).
pub const HTTP_1_1: &str = "http/1.1";
/// The ALPN name of HTTP/2 over TLS (RFC 9113 §3.2).
pub const HTTP_2: &str = "h2";
