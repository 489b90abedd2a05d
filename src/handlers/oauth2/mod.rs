//! The OAuth 2.0 resource server: what `AuthType oauth2` does at each hook. The decisions are sender-constraint's.

pub(crate) mod authentication;
pub(crate) mod authorization;
mod challenge;
pub(crate) mod start;
pub(crate) mod strip;
mod surroundings;
mod view;
