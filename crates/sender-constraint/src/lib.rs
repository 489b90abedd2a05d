//! OAuth 2.0 resource server with sender-constrained access tokens (RFC 6750, 7662, 8705).
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
