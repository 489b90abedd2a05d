//! What happens at each hook, one file per job. The decisions are in `crates/`; here they meet httpd.

pub(crate) mod authorization;
pub(crate) mod binding;
pub(crate) mod certificate;
pub(crate) mod client_cert;
pub(crate) mod negotiation;
pub(crate) mod oauth2;
pub(crate) mod oidc_session;
pub(crate) mod pass;
pub(crate) mod referred;
pub(crate) mod server_status;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod strip;
pub(crate) mod vary;
pub(crate) mod verification;
