//! The one harness of the integration tests: a private Apache httpd per test, and what a test needs around it.
//!
//! ```no_run
//! let server = Httpd::builder()
//!     .mpm(Mpm::Worker)
//!     .load(&["headers"])
//!     .tls_config("RequestHeader unset Cookie")
//!     .start();
//! let mark = server.log_mark();
//! // ... requests to server.tls() or server.plain() ...
//! server.wait_for_log(mark, "token binding*verified");
//! ```
//! When the server is dropped it is stopped, and its error log must hold nothing unexpected (`log.rs`).

// Each test binary includes this file and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod authorization_server;
pub mod backend;
pub mod bound;
pub mod certificates;
pub mod configuration;
pub mod exchange;
pub mod fastcgi;
pub mod httpd;
pub mod independent;
pub mod log;
pub mod ports;
pub mod process;
pub mod site;
pub mod witness;

pub use backend::Backend;
pub use bound::{Bound, connector, id, identity, keys, tbh};
pub use certificates::pki;
pub use configuration::{Builder, ModulePosition, Mpm, Vhost};
pub use fastcgi::FastCgi;
pub use httpd::Httpd;
pub use independent::Independent;
