//! At start and at `apachectl configtest`: combinations of directives that cannot work. And where things are counted.

use std::ffi::CStr;

use token_binding::reserved;

use crate::common::Common;
use crate::config::ServerConfig;
use crate::counters::Counters;
use crate::{ffi, log, shared_memory};

/// Looks at one server's configuration: what is wrong, in words for the administrator.
pub(crate) fn check(config: &ServerConfig, mod_ssl_is_loaded: bool) -> Result<(), String> {
    if config.broken {
        return Err(
            "the configuration could not be made, the line about an internal error says why".to_owned()
        );
    }
    if config.enabled == Some(true) && !mod_ssl_is_loaded {
        return Err(
            "TokenBindingEnabled On needs mod_ssl: LoadModule ssl_module (Debian: a2enmod ssl)".to_owned()
        );
    }
    let mut names: Vec<&CStr> = vec![config.provided_variable(), config.referred_variable()];
    names.extend(config.context_variables().into_iter().flatten());
    names.extend([
        reserved::OTHER,
        reserved::FINGERPRINT,
        super::pass::HASH,
        super::pass::KEY_PARAMETERS,
        super::pass::STATUS,
    ]);
    for (index, name) in names.iter().enumerate() {
        let is_same = |other: &&CStr| other.to_bytes().eq_ignore_ascii_case(name.to_bytes());
        if names.iter().take(index).any(is_same) {
            return Err(format!(
                "two variables of the name {}: TokenBindingProvidedEnvVar, TokenBindingReferredEnvVar and \
                 TokenBindingContextEnvVar need different names, which this module does not use otherwise",
                name.to_string_lossy()
            ));
        }
    }
    Ok(())
}

/// Prepares what all processes share: what the generation before had, if there was one. None of it is worth a start that
/// fails.
///
/// # Safety
/// Called from post_config with its server.
pub(crate) unsafe fn share(common: &Common, server: &ffi::server_rec) {
    // SAFETY: as our caller's.
    match unsafe { shared_memory::existing_or_new(server) } {
        Ok(counters) => common.set_counters(counters),
        Err(status) => log::server!(
            Some(server),
            Warning,
            "counters: no shared memory to count in, so mod_status shows none: APR's error {status}"
        ),
    }
    // SAFETY: as our caller's.
    match unsafe { shared_memory::existing_or_new(server) } {
        Ok(places) => common.set_places(places),
        Err(status) => log::server!(
            Some(server),
            Warning,
            "waiting room: no shared memory, so each process by itself limits how many requests wait for an authorization \
             server: APR's error {status}"
        ),
    }
}

/// All counters begin at zero.
pub(crate) fn count_anew() {
    if let Some(counters) = shared_memory::existing::<Counters>() {
        counters.reset();
    }
}
