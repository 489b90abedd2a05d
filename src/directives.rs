//! The directives: one setter each. An error names what is accepted; httpd puts file, line and directive before it.

use std::ffi::CStr;

use token_binding::pass::Pass;
use token_binding::request::Missing;
use token_binding::{KeyParameters, Preference};

use crate::command::{Commands, DIRECTORY, Directive, END, SERVER, Setting, flag, list, one};
use crate::config::{DirConfig, Forward, ServerConfig};
use crate::oauth2_directives as oauth2;

/// `TokenBindingEnabled On|Off`
fn enabled(config: &mut ServerConfig, on: bool) -> Setting {
    config.enabled = Some(on);
    Ok(())
}

/// `TokenBindingKeyParameters ecdsap256|rsa2048_pss|rsa2048_pkcs1.5 ...`
fn key_parameters(_line: &Directive<'_>, config: &mut ServerConfig, words: &[&'static CStr]) -> Setting {
    let list: Result<Vec<KeyParameters>, _> =
        words.iter().map(|word| text(word)?.parse().map_err(wrong)).collect();
    config.key_parameters = Some(Preference::new(&list?).map_err(wrong)?);
    Ok(())
}

/// `TokenBindingMissing Reject|Allow`
fn missing(config: &mut ServerConfig, word: &'static CStr) -> Setting {
    config.missing = Some(match text(word)?.to_ascii_lowercase().as_str() {
        "reject" => Missing::Reject,
        "allow" => Missing::Allow,
        _ => return Err(format!("'{}' is none of Reject, Allow", text(word)?)),
    });
    Ok(())
}

/// `TokenBindingProvidedEnvVar NAME`
fn provided_variable(config: &mut ServerConfig, name: &'static CStr) -> Setting {
    config.provided_variable = Some(variable_name(name)?);
    Ok(())
}

/// `TokenBindingReferredEnvVar NAME`
fn referred_variable(config: &mut ServerConfig, name: &'static CStr) -> Setting {
    config.referred_variable = Some(variable_name(name)?);
    Ok(())
}

/// `TokenBindingContextEnvVar NAME`
fn context_variable(config: &mut ServerConfig, name: &'static CStr) -> Setting {
    config.context_variable = Some(variable_name(name)?);
    Ok(())
}

/// `TokenBindingPassVar provided|referred|other|context|none ...`
fn pass_variables(_line: &Directive<'_>, config: &mut DirConfig, words: &[&'static CStr]) -> Setting {
    let words: Result<Vec<&str>, _> = words.iter().map(|word| text(word)).collect();
    let list = Pass::from_words(words?).map_err(wrong)?;
    config.pass = Some(match config.pass {
        Some(before) => before.and(list).map_err(wrong)?,
        None => list,
    });
    Ok(())
}

/// `TokenBindingIncludeReferred On|Off`
fn include_referred(config: &mut DirConfig, on: bool) -> Setting {
    config.include_referred = Some(on);
    Ok(())
}

/// `TokenBindingOIDCSession On|Off`
fn oidc_session(config: &mut DirConfig, on: bool) -> Setting {
    config.oidc_session = Some(on);
    Ok(())
}

/// `ClientCertForward Off|Cert|Chain`
fn client_cert_forward(config: &mut DirConfig, word: &'static CStr) -> Setting {
    config.client_cert_forward = Some(match text(word)?.to_ascii_lowercase().as_str() {
        "off" => Forward::Off,
        "cert" => Forward::Cert,
        "chain" => Forward::Chain,
        _ => return Err(format!("'{}' is none of Off, Cert, Chain", text(word)?)),
    });
    Ok(())
}

/// A variable's name: what shells, CGI and expressions can read.
fn variable_name(name: &'static CStr) -> Result<&'static CStr, String> {
    let usable = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if name.is_empty() || !name.to_bytes().iter().all(usable) {
        return Err("a variable's name is made of letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok(name)
}

pub(crate) fn text(word: &'static CStr) -> Result<&'static str, String> {
    word.to_str().map_err(|_| "the argument is not UTF-8".to_owned())
}

pub(crate) fn wrong(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The table of directives.
pub(crate) static COMMANDS: Commands<16> = Commands([
    flag!(c"TokenBindingEnabled", SERVER, enabled, c"On or Off: negotiate and verify Token Binding (default On)"),
    list!(
        c"TokenBindingKeyParameters", SERVER, key_parameters,
        c"one or more of ecdsap256, rsa2048_pss, rsa2048_pkcs1.5, in the server's order of preference"
    ),
    one!(
        c"TokenBindingMissing", SERVER, missing,
        c"Reject or Allow: a request without Sec-Token-Binding where Token Binding was negotiated (default Reject)"
    ),
    one!(
        c"TokenBindingProvidedEnvVar", SERVER, provided_variable,
        c"name of the variable with the provided Token Binding ID"
    ),
    one!(
        c"TokenBindingReferredEnvVar", SERVER, referred_variable,
        c"name of the variable with the referred Token Binding ID"
    ),
    one!(
        c"TokenBindingContextEnvVar", SERVER, context_variable,
        c"name of the variable with the connection's Token Binding context"
    ),
    list!(
        c"TokenBindingPassVar", DIRECTORY, pass_variables,
        c"any of provided, referred, other, context, or none: what the application and the backend get"
    ),
    flag!(
        c"TokenBindingIncludeReferred", DIRECTORY, include_referred,
        c"On or Off: ask for the referred Token Binding in redirects of bound requests (default Off)"
    ),
    flag!(
        c"TokenBindingOIDCSession", DIRECTORY, oidc_session,
        c"On or Off: bind the server-side sessions of mod_auth_openidc 2.4.17.1 and newer (default Off)"
    ),
    one!(
        c"ClientCertForward",
        DIRECTORY,
        client_cert_forward,
        c"Off, Cert or Chain: the client's certificate for the backend, as RFC 9440 says (default Off)"
    ),
    list!(
        c"OAuth2TokenVerify",
        DIRECTORY,
        oauth2::token_verify,
        c"TYPE VALUE [OPTIONS]: who verifies access tokens; several lines are tried in order"
    ),
    list!(
        c"OAuth2AcceptTokenIn",
        DIRECTORY,
        oauth2::accept_token_in,
        c"TYPE [OPTIONS]: where access tokens are accepted: header, environment, query, post, cookie, basic"
    ),
    list!(
        c"OAuth2TargetPass",
        DIRECTORY,
        oauth2::target_pass,
        c"OPTIONS: how claims are passed to the application and the backend"
    ),
    list!(
        c"OAuth2Cache",
        SERVER,
        oauth2::cache,
        c"TYPE [OPTIONS]: where processes and servers share verdicts: shm, memcache, file, socache, redis"
    ),
    list!(
        c"OAuth2CryptoPassphrase",
        SERVER,
        oauth2::crypto_passphrase,
        c"key for what is kept in shared caches: text, file:/path, or exec:/path of a program that prints it"
    ),
    END,
]);
