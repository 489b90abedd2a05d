//! OAuth 2.0 resource server with sender-constrained access tokens (RFC 6750, 7662, 8705).
//!
//! Everything that decides whether a request with an access token may go on, and nothing else: no web server, no network,
//! no clock. What it needs of those it asks of [`services::Services`].
//!
//! A request's way, each step a function that a test can call by itself:
//!
//! 1. [`token_source`] finds the token in the request.
//! 2. [`decision`] looks whether these verifiers accepted it before ([`cache`]); if not,
//! 3. [`verifier`] judges it: as a JWT ([`jwt`], [`claim_rules`]) with keys that were configured ([`jwk`]) or fetched
//!    ([`document`], [`refresh`]), or by asking ([`introspection`], [`client_auth`]).
//! 4. [`target`] writes down, once, what the application gets.
//! 5. [`cnf`] compares what the token is bound to with what *this* connection proves. For every request, always last.
//! 6. [`require`] decides what the claims allow, [`refusal`] and [`challenge`] say no.
//!
//! Configuration is read by [`verifier_config`], [`token_source`], [`target`] and [`cache_config`], in the language of
//! [`options`] and the vocabulary of [`schema`].
#![forbid(unsafe_code)]

pub mod cache;
pub mod cache_config;
pub mod challenge;
pub mod claim_rules;
pub mod client_auth;
pub mod client_cert_header;
pub mod cnf;
pub mod decision;
pub mod document;
pub mod exchange;
pub mod form;
pub mod gate;
pub mod introspection;
pub mod json;
pub mod jwk;
pub mod jwt;
pub mod metadata;
pub mod options;
pub mod provider;
pub mod refresh;
pub mod refusal;
pub mod require;
#[rustfmt::skip] // a table reads by its lines
pub mod schema;
pub mod services;
pub mod target;
pub mod thumbprint;
pub mod token_source;
pub mod verdict;
pub mod verification_key;
pub mod verifier;
pub mod verifier_config;
pub mod waiting_room;
