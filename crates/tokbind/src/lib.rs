//! A client for Token Binding (RFC 8471, 8472, 8473), for tests and for the `tokbind` command.
//!
//! - [`tls`] opens TLS connections that offer the `token_binding` extension, as told or as an attacker would.
//! - [`http1`] exchanges raw HTTP/1.1 messages over them.
//! - [`binding`] makes the `Sec-Token-Binding` field for such a connection.
//!
//! ```no_run
//! use token_binding::{KeyPair, KeyParameters};
//! use tokbind::{binding, http1::Client, tls::Connector};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = Connector::builder().ca_file("ca.pem").build()?;
//! let connection = connector.connect("127.0.0.1:4433", "localhost")?;
//! let key = KeyPair::generate(KeyParameters::EcdsaP256)?;
//! let field = binding::field_value(&key, None, &connection.ekm()?)?;
//! let mut client = Client::new(connection);
//! let response = client.get("/", "localhost", &[("Sec-Token-Binding", &field)])?;
//! assert_eq!(response.status, 200);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod binding;
pub mod http1;
pub mod tls;
