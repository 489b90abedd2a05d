//! The configuration: what the directives say, its defaults, and how a section inherits from what is around it.

use std::ffi::CStr;
use std::sync::Arc;

use sender_constraint::decision::Verifiers;
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::TokenSources;
use token_binding::pass::Pass;
use token_binding::request::Missing;
use token_binding::{Preference, reserved};

use crate::common::Common;
use crate::pool::Pool;
use crate::sections::{SourceLines, TargetLines, VerifierLines};
use crate::{ffi, slot};

/// What httpd makes one of for each server, or for each section of the configuration, and merges.
pub(crate) trait Section: Copy + 'static {
    /// Before any directive has spoken.
    const DEFAULT: Self;

    /// One that could not be made: nothing may go on under it.
    const BROKEN: Self;

    /// One for a new server or section, in the configuration's pool.
    fn create(_pool: Pool<'static>) -> Self {
        Self::DEFAULT
    }

    /// The inner one says it, else the outer one.
    fn merge(outer: Self, inner: Self, pool: Pool<'static>) -> Self;
}

/// Configuration of a virtual host; `None` where no directive spoke.
#[derive(Clone, Copy)]
pub(crate) struct ServerConfig {
    pub(crate) enabled: Option<bool>,
    pub(crate) key_parameters: Option<Preference>,
    pub(crate) missing: Option<Missing>,
    pub(crate) provided_variable: Option<&'static CStr>,
    pub(crate) referred_variable: Option<&'static CStr>,
    pub(crate) context_variable: Option<&'static CStr>,
    /// What all servers of the configuration share.
    pub(crate) common: Option<&'static Common>,
    /// It could not be made.
    pub(crate) broken: bool,
}

impl Section for ServerConfig {
    const DEFAULT: Self = Self {
        enabled: None,
        key_parameters: None,
        missing: None,
        provided_variable: None,
        referred_variable: None,
        context_variable: None,
        common: None,
        broken: false,
    };

    const BROKEN: Self = Self { broken: true, ..Self::DEFAULT };

    fn create(pool: Pool<'static>) -> Self {
        Self { common: Some(Common::of(pool)), ..Self::DEFAULT }
    }

    fn merge(main: Self, host: Self, _pool: Pool<'static>) -> Self {
        Self {
            enabled: host.enabled.or(main.enabled),
            key_parameters: host.key_parameters.or(main.key_parameters),
            missing: host.missing.or(main.missing),
            provided_variable: host.provided_variable.or(main.provided_variable),
            referred_variable: host.referred_variable.or(main.referred_variable),
            context_variable: host.context_variable.or(main.context_variable),
            common: main.common,
            broken: main.broken || host.broken,
        }
    }
}

impl ServerConfig {
    /// The configuration of a server or virtual host.
    pub(crate) fn of(server: &ffi::server_rec) -> &ServerConfig {
        // SAFETY: httpd calls our create and merge callbacks for every server.
        unsafe { slot::get(server.module_config) }.unwrap_or(&Self::DEFAULT)
    }

    pub(crate) fn common(&self) -> Option<&'static Common> {
        self.common
    }

    pub(crate) fn enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    pub(crate) fn key_parameters(&self) -> Preference {
        self.key_parameters.unwrap_or_default()
    }

    pub(crate) fn missing(&self) -> Missing {
        self.missing.unwrap_or_default()
    }

    pub(crate) fn provided_variable(&self) -> &'static CStr {
        self.provided_variable.unwrap_or(reserved::PROVIDED)
    }

    pub(crate) fn referred_variable(&self) -> &'static CStr {
        self.referred_variable.unwrap_or(reserved::REFERRED)
    }

    /// One name, or by default the two that are in use.
    pub(crate) fn context_variables(&self) -> [Option<&'static CStr>; 2] {
        match self.context_variable {
            Some(name) => [Some(name), None],
            None => [Some(reserved::CONTEXT), Some(reserved::SEC_CONTEXT)],
        }
    }
}

/// Configuration of a directory or location. `Copy`: httpd merges it for every request.
#[derive(Clone, Copy)]
pub(crate) struct DirConfig {
    pub(crate) pass: Option<Pass>,
    pub(crate) include_referred: Option<bool>,
    pub(crate) oidc_session: Option<bool>,
    pub(crate) client_cert_forward: Option<Forward>,
    pub(crate) verifiers: Option<&'static VerifierLines>,
    pub(crate) sources: Option<&'static SourceLines>,
    pub(crate) target: Option<&'static TargetLines>,
    /// It could not be made.
    pub(crate) broken: bool,
}

/// `ClientCertForward`: what the backend gets of the client's certificate.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing.
    #[default]
    Off,
    /// `Client-Cert`.
    Cert,
    /// `Client-Cert` and `Client-Cert-Chain`.
    Chain,
}

impl Section for DirConfig {
    const DEFAULT: Self = Self {
        pass: None,
        include_referred: None,
        oidc_session: None,
        client_cert_forward: None,
        verifiers: None,
        sources: None,
        target: None,
        broken: false,
    };

    const BROKEN: Self = Self { broken: true, ..Self::DEFAULT };

    fn merge(outer: Self, inner: Self, pool: Pool<'static>) -> Self {
        Self {
            pass: inner.pass.or(outer.pass),
            include_referred: inner.include_referred.or(outer.include_referred),
            oidc_session: inner.oidc_session.or(outer.oidc_session),
            client_cert_forward: inner.client_cert_forward.or(outer.client_cert_forward),
            // A section's verifiers and sources replace those around it; what is passed on is joined option by option.
            verifiers: inner.verifiers.or(outer.verifiers),
            sources: inner.sources.or(outer.sources),
            target: match (outer.target, inner.target) {
                (Some(outer), Some(inner)) => Some(TargetLines::joined(outer, inner, pool)),
                (outer, inner) => inner.or(outer),
            },
            broken: outer.broken || inner.broken,
        }
    }
}

impl DirConfig {
    /// The configuration in a request's `per_dir_config`.
    ///
    /// # Safety
    /// `sections` is live for `'a`.
    pub(crate) unsafe fn of<'a>(sections: *const ffi::ap_conf_vector_t) -> &'a DirConfig {
        // SAFETY: httpd calls our create and merge callbacks for every section.
        unsafe { slot::get(sections) }.unwrap_or(&Self::DEFAULT)
    }

    pub(crate) fn pass(&self) -> Pass {
        self.pass.unwrap_or_default()
    }

    pub(crate) fn include_referred(&self) -> bool {
        self.include_referred.unwrap_or(false)
    }

    pub(crate) fn oidc_session(&self) -> bool {
        self.oidc_session.unwrap_or(false)
    }

    pub(crate) fn client_cert_forward(&self) -> Forward {
        self.client_cert_forward.unwrap_or_default()
    }

    pub(crate) fn verifiers(&self) -> Option<&'static Verifiers> {
        self.verifiers.map(VerifierLines::verifiers)
    }

    pub(crate) fn sources(&self) -> Option<&'static TokenSources> {
        self.sources.map(SourceLines::sources)
    }

    pub(crate) fn target(&self) -> Option<&'static Arc<TargetSettings>> {
        self.target.map(TargetLines::target)
    }
}
