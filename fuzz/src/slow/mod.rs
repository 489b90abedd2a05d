//! Second opinions: slow, plain, written from the specifications alone. They share no code with the crates.

pub mod base64url;
pub mod challenge;
pub mod form;
pub mod json;
pub mod message;
pub mod negotiation;
