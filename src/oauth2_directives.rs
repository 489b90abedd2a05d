//! The setters of the `OAuth2...` directives.

use std::ffi::{CStr, CString};
use std::process::Command;
use std::sync::Arc;

use sender_constraint::cache_config::CacheConfig;
use sender_constraint::options::Warning;
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::TokenSource;
use sender_constraint::verifier::Verifier;
use sender_constraint::verifier_config::VerifierConfig;
use zeroize::Zeroizing;

use crate::command::{Directive, Setting};
use crate::common::Common;
use crate::config::{DirConfig, ServerConfig};
use crate::directives::{text, wrong};
use crate::ffi;
use crate::shared_cache::SharedCache;

/// `OAuth2TokenVerify TYPE VALUE [OPTIONS]`
pub(crate) fn token_verify(line: &Directive<'_>, config: &mut DirConfig, words: &[&'static CStr]) -> Setting {
    let (kind, value, options) = match words {
        [kind, value] => (text(kind)?, text(value)?, c""),
        [kind, value, options] => (text(kind)?, text(value)?, *options),
        _ => return Err("takes two or three arguments: TYPE VALUE [OPTIONS]".to_owned()),
    };
    let read_file = |path: &str| std::fs::read(server_path(line, path));
    let parsed = VerifierConfig::parse(kind, value, options.to_bytes(), &read_file);
    let verifier = Arc::new(Verifier::new(warned(line, parsed)?));
    Common::of(line.pool()).add_verifier(Arc::clone(&verifier));
    config.verifiers.get_or_insert_with(|| line.pool().place(Default::default())).add(verifier);
    Ok(())
}

/// `OAuth2AcceptTokenIn TYPE [OPTIONS]`
pub(crate) fn accept_token_in(
    line: &Directive<'_>,
    config: &mut DirConfig,
    words: &[&'static CStr],
) -> Setting {
    let (kind, options) = kind_and_options(words)?;
    let source = warned(line, TokenSource::parse(kind, options.to_bytes()))?;
    config.sources.get_or_insert_with(|| line.pool().place(Default::default())).add(source);
    Ok(())
}

/// `OAuth2TargetPass OPTIONS`
pub(crate) fn target_pass(line: &Directive<'_>, config: &mut DirConfig, words: &[&'static CStr]) -> Setting {
    let [options] = words else { return Err("takes one argument: OPTIONS".to_owned()) };
    let target = Arc::new(warned(line, TargetSettings::parse(options.to_bytes()))?);
    Common::of(line.pool()).add_target(Arc::clone(&target));
    config.target.get_or_insert_with(|| line.pool().place(Default::default())).add(target);
    Ok(())
}

/// `OAuth2Cache TYPE [OPTIONS]`
pub(crate) fn cache(line: &Directive<'_>, _config: &mut ServerConfig, words: &[&'static CStr]) -> Setting {
    let (kind, options) = kind_and_options(words)?;
    // SAFETY: the configuration's pool is live, and the name a C string.
    let directory = unsafe { ffi::ap_runtime_dir_relative(line.pool().as_ptr(), c"".as_ptr()) };
    // SAFETY: null or a C string of that pool.
    let directory = unsafe { crate::request::c_str(directory) }.unwrap_or(c".").to_string_lossy();
    let config = warned(line, CacheConfig::parse(kind, options.to_bytes(), &directory))?;
    // SAFETY: the configuration is being read.
    let cache = unsafe { SharedCache::create(config, line.temporary_pool(), line.pool().as_ptr()) }?;
    Common::of(line.pool()).add_cache(cache)
}

/// `OAuth2CryptoPassphrase STRING`, `file:/path`, `exec:/path arguments`
pub(crate) fn crypto_passphrase(
    line: &Directive<'_>,
    _config: &mut ServerConfig,
    words: &[&'static CStr],
) -> Setting {
    let [word] = words else { return Err("takes one argument: STRING, file:/path or exec:/path".to_owned()) };
    let word = text(word)?;
    let passphrase = if let Some(command) = word.strip_prefix("exec:") {
        run(command)?
    } else if let Some(path) = word.strip_prefix("file:") {
        std::fs::read(server_path(line, path)).map_err(|error| format!("cannot read {path}: {error}"))?
    } else {
        word.as_bytes().to_vec()
    };
    // What editors and programs put behind it does not belong to it.
    let passphrase = Zeroizing::new(passphrase);
    let passphrase = passphrase.trim_ascii_end();
    if passphrase.is_empty() {
        return Err("the passphrase is empty".to_owned());
    }
    Common::of(line.pool()).set_passphrase(Zeroizing::new(passphrase.to_vec()));
    Ok(())
}

/// What a program prints, as with httpd's other passphrases.
fn run(command: &str) -> Result<Vec<u8>, String> {
    let mut words = command.split_ascii_whitespace();
    let program = words.next().ok_or("exec: needs the path of a program")?;
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} failed: {}", output.status));
    }
    Ok(output.stdout)
}

fn kind_and_options(words: &[&'static CStr]) -> Result<(&'static str, &'static CStr), String> {
    match words {
        [kind] => Ok((text(kind)?, c"")),
        [kind, options] => Ok((text(kind)?, options)),
        _ => Err("takes one or two arguments: TYPE [OPTIONS]".to_owned()),
    }
}

/// Shows the warnings, gives the rest.
fn warned<T>(
    line: &Directive<'_>,
    parsed: Result<(T, Vec<Warning>), impl std::fmt::Display>,
) -> Result<T, String> {
    let (value, warnings) = parsed.map_err(wrong)?;
    for Warning(warning) in &warnings {
        line.warn(warning);
    }
    Ok(value)
}

/// A path relative to ServerRoot, as in httpd's other directives.
fn server_path(line: &Directive<'_>, path: &str) -> String {
    let Ok(name) = CString::new(path) else { return path.to_owned() };
    // SAFETY: the configuration's pool is live, and the name a C string.
    let full = unsafe { ffi::ap_server_root_relative(line.pool().as_ptr(), name.as_ptr()) };
    // SAFETY: null or a C string of that pool.
    unsafe { crate::request::c_str(full) }
        .map_or_else(|| path.to_owned(), |full| full.to_string_lossy().into_owned())
}
