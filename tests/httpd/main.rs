//! Integration tests against a real Apache httpd. Each group is a file; the harness is tests/common.

// Test code may fail loudly anywhere, also in helpers, which clippy does not recognise as tests.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;

mod acceptance;
mod attacks;
mod authorization;
mod authorization_server;
mod backends;
mod configuration;
mod documentation;
mod documented_commands;
mod faults;
mod http2;
mod include_referred;
mod installing;
mod lifecycle;
mod links;
mod memory;
mod migration;
mod negotiation;
mod oauth2;
mod oauth2_docs;
mod oauth2_server;
mod openidc;
mod page;
mod panics;
mod passing;
mod proxy;
mod reference;
mod renegotiation;
mod resumption;
mod server_status;
mod several_nodes;
mod smoke;
mod sources;
mod trailers;
mod vhosts;
