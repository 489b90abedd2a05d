//! Token Binding (RFC 8471, 8472, 8473): wire format, negotiation, verification.
#![forbid(unsafe_code)]
