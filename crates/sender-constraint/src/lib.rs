//! OAuth 2.0 resource server with sender-constrained access tokens (RFC 6750, 7662, 8705).
#![forbid(unsafe_code)]
