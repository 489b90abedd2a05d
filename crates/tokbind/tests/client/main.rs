//! The library and the command against an OpenSSL server in this process.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod bench;
mod command;
mod get;
mod http2;
mod server;
mod tls;
