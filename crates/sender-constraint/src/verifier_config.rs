//! `OAuth2TokenVerify TYPE VALUE [OPTIONS]`: what one verifier is to do.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use token_binding::base64url;
use zeroize::Zeroizing;

use crate::claim_rules::{ClaimRules, Mode, Origin};
use crate::client_auth::ClientAuth;
use crate::cnf::{ConfirmationPolicy, Method};
use crate::exchange::{Endpoint, check_url};
use crate::introspection::Introspection;
use crate::jwk::{self, JwkError, KeySet};
use crate::options::{OptionError, Options, Warning};
use crate::schema::{self, Group};
use crate::verdict::VerifierId;
use crate::verification_key::VerificationKey;

/// The accepted words of the directive's first argument.
const TYPES: &str =
    "jwk, jwks_uri, metadata, introspect, pem, pubkey, plain, base64, base64url, hex, eckey_uri or aws_alb";

/// Which of the administrator's caches shares something between processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheName {
    /// The one without a name.
    Default,
    /// This one.
    Named(String),
    /// None.
    None,
}

impl CacheName {
    fn of(options: &Options, name: &str) -> Option<Self> {
        options.text(name).map(|cache| match cache {
            "none" => Self::None,
            "default" => Self::Default,
            name => Self::Named(name.to_owned()),
        })
    }
}

/// A document to be fetched.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it lies. For keys that metadata or a key ID locates: how to speak to that server.
    pub endpoint: Endpoint,
    /// How long it is fresh at most.
    pub expiry: Duration,
    /// Which cache shares it.
    pub cache: CacheName,
}

/// Where a verifier gets its knowledge.
pub enum Source {
    /// Keys in the configuration.
    Keys(KeySet),
    /// A JWK set.
    Jwks(Remote),
    /// One key in PEM, with the key ID that is given to it.
    Pem(Remote, Option<String>),
    /// The keys of an AWS load balancer: the key ID is appended to this URL.
    LoadBalancer {
        /// Where; the endpoint's URL ends where the key ID begins.
        remote: Remote,
        /// The load balancer that must have signed.
        arn: String,
    },
    /// RFC 8414: keys for JWTs, introspection for everything else.
    Metadata(Box<MetadataSource>),
    /// RFC 7662.
    Introspect(Endpoint, Box<Introspection>),
}

/// The kinds of verifiers, as they are counted and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys in the configuration: `jwk`, `pem`, `pubkey`, `plain`, `base64`, `base64url` and `hex`.
    Keys,
    /// `jwks_uri`
    JwksUri,
    /// `eckey_uri`
    EckeyUri,
    /// `aws_alb`
    AwsAlb,
    /// `metadata`
    Metadata,
    /// `introspect`
    Introspect,
}

impl Kind {
    /// The names of all kinds, in the order of their definition.
    pub const NAMES: [&str; 6] = ["keys", "jwks_uri", "eckey_uri", "aws_alb", "metadata", "introspect"];
}

impl Source {
    /// The kind of verifier that has such a source.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Keys(_) => Kind::Keys,
            Self::Jwks(_) => Kind::JwksUri,
            Self::Pem(..) => Kind::EckeyUri,
            Self::LoadBalancer { .. } => Kind::AwsAlb,
            Self::Metadata(_) => Kind::Metadata,
            Self::Introspect(..) => Kind::Introspect,
        }
    }
}

/// Metadata, and how to use what it names.
pub struct MetadataSource {
    /// The metadata.
    pub metadata: Remote,
    /// How to get the keys: its URL is in the metadata.
    pub jwks: Remote,
    /// How to ask about tokens.
    pub introspection: Introspection,
    /// Where: its URL is in the metadata.
    pub introspection_endpoint: Endpoint,
    /// The issuer that is expected whatever the metadata's URL says.
    pub issuer: Option<String>,
    /// How the issuer of the metadata is compared.
    pub issuer_mode: Mode,
    /// What is demanded of introspected claims.
    pub introspection_rules: ClaimRules,
}

/// One verifier's configuration.
pub struct VerifierConfig {
    /// Where it gets its knowledge.
    pub source: Source,
    /// What it demands of claims.
    pub rules: ClaimRules,
    /// Which bindings it demands.
    pub policy: ConfirmationPolicy,
    /// How long its verdicts are remembered, in seconds.
    pub expiry: i64,
    /// Which cache shares them; `None`: the default one for introspection, none for JWTs.
    pub cache: Option<CacheName>,
    /// What tells it from every other.
    pub id: VerifierId,
}

impl VerifierConfig {
    /// Reads the arguments of the directive. `read_file` reads a file that the configuration names.
    ///
    /// # Errors
    ///
    /// An unknown type, a value that is no key or URL, options that are not accepted or do not go together.
    pub fn parse(
        kind: &str,
        value: &str,
        option_text: &[u8],
        read_file: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<(Self, Vec<Warning>), OptionError> {
        let (options, mut warnings) = Options::parse(option_text, &groups(kind)?)?;
        let policy = policy(&options)?;
        let (source, more) = source(kind, value, &options, read_file)?;
        warnings.extend(more);
        let origin = match &source {
            Source::Introspect(..) => Origin::Introspection,
            Source::Metadata(_) => Origin::Metadata,
            _ => Origin::Jwt,
        };
        let rules = if assertion_takes_aud(kind, &options) {
            ClaimRules::without_audience(&options, origin)?
        } else {
            ClaimRules::from_options(&options, origin)?
        };
        // Everything that affects a verdict is in these: also files, whose keys are in the fingerprint.
        let fingerprint = if let Source::Keys(keys) = &source { keys.fingerprint() } else { [0; 32] };
        let id = VerifierId::of([kind.as_bytes(), value.as_bytes(), option_text, &fingerprint]);
        let expiry = options.number("expiry").and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(300);
        let cache = CacheName::of(&options, "verify.cache");
        Ok((Self { source, rules, policy, expiry, cache, id }, warnings))
    }

    /// The caches that it names, so that the caller can see that they exist.
    pub fn caches(&self) -> impl Iterator<Item = &str> {
        let documents: [Option<&Remote>; 2] = match &self.source {
            Source::Jwks(remote) | Source::Pem(remote, _) | Source::LoadBalancer { remote, .. } => {
                [Some(remote), None]
            }
            Source::Metadata(source) => [Some(&source.metadata), Some(&source.jwks)],
            Source::Keys(_) | Source::Introspect(..) => [None, None],
        };
        let documents = documents.into_iter().flatten().map(|remote| &remote.cache);
        documents.chain(&self.cache).filter_map(|cache| match cache {
            CacheName::Named(name) => Some(name.as_str()),
            CacheName::Default | CacheName::None => None,
        })
    }
}

/// The options that go with a type.
fn groups(kind: &str) -> Result<Vec<Group>, OptionError> {
    let own: &[Group] = match kind {
        "jwk" | "pem" | "pubkey" | "plain" | "base64" | "base64url" | "hex" => &[schema::JWT, schema::KEY_ID],
        "jwks_uri" => &[schema::JWT, schema::JWKS_URI],
        "eckey_uri" => &[schema::JWT, schema::KEY_ID, schema::ECKEY_URI],
        "aws_alb" => &[schema::JWT, schema::AWS_ALB, schema::ALB],
        "metadata" => &[schema::JWT, schema::METADATA, schema::JWKS_URI, schema::INTROSPECT, schema::CLIENT],
        "introspect" => &[schema::INTROSPECT, schema::CLIENT],
        _ => return Err(OptionError::Combination(format!("the type must be {TYPES}"))),
    };
    Ok([&[schema::VERIFIER, schema::CLAIM_RULES], own].concat())
}

/// `type=` and the policy that goes with it. A policy for another type would look as if it protected something.
fn policy(options: &Options) -> Result<ConfirmationPolicy, OptionError> {
    let method = match options.word("type").as_deref() {
        Some("mtls") => Some((Method::ClientCertificate, "mtls.policy")),
        Some("token-binding") => Some((Method::TokenBinding, "token-binding.policy")),
        _ => None,
    };
    for (name, kind) in [("mtls.policy", "mtls"), ("token-binding.policy", "token-binding")] {
        if options.text(name).is_some() && method.is_none_or(|(_, own)| own != name) {
            return Err(OptionError::Combination(format!("{name} has no effect without type={kind}")));
        }
    }
    let required = method.filter(|(_, name)| options.word(name).as_deref() != Some("optional"));
    Ok(ConfirmationPolicy { required: required.map(|(method, _)| method) })
}

type Parsed<T> = Result<(T, Vec<Warning>), OptionError>;

fn source(
    kind: &str,
    value: &str,
    options: &Options,
    read_file: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
) -> Parsed<Source> {
    let kid = options.text("kid").map(str::to_owned);
    match kind {
        "jwks_uri" => {
            let (remote, warnings) = remote(value, "jwks_uri.", options)?;
            Ok((Source::Jwks(remote), warnings))
        }
        "eckey_uri" => {
            let (remote, warnings) = remote(value, "eckey_uri.", options)?;
            Ok((Source::Pem(remote, kid), warnings))
        }
        "aws_alb" => load_balancer(value, options),
        "metadata" => metadata(value, options),
        "introspect" => {
            let audience = options.text("introspect.aud").or_else(|| options.text("aud"));
            let (endpoint, introspection, warnings) = introspection(value, options, audience)?;
            if introspection.auth().needs_issuer() {
                return Err(OptionError::Combination(
                    "assertions need an audience: give introspect.aud=VALUE".into(),
                ));
            }
            Ok((Source::Introspect(endpoint, introspection), warnings))
        }
        _ => {
            let key = key(kind, value, read_file)?;
            let key = if kid.is_some() { key.with_kid(kid) } else { key };
            Ok((Source::Keys(KeySet::of(key)), Vec::new()))
        }
    }
}

/// A key in the configuration.
fn key(
    kind: &str,
    value: &str,
    read_file: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
) -> Result<VerificationKey, OptionError> {
    let wrong = |reason: String| OptionError::Combination(format!("{kind}: {reason}"));
    let refused = |error: JwkError| wrong(error.to_string());
    let secret = |octets: Option<Vec<u8>>| {
        let octets = Zeroizing::new(octets.ok_or_else(|| wrong(format!("the value is not {kind}")))?);
        VerificationKey::from_secret(&octets).map_err(|error| refused(error.into()))
    };
    match kind {
        "jwk" => jwk::from_jwk(value.as_bytes()).map_err(refused),
        "plain" => secret(Some(value.as_bytes().to_vec())),
        "base64" => secret(STANDARD.decode(value).ok()),
        "base64url" => secret(base64url::decode(value.as_bytes()).ok()),
        "hex" => secret(hex(value)),
        _ if value.trim_start().starts_with("-----BEGIN") => jwk::from_pem(value.as_bytes()).map_err(refused),
        _ => {
            let text = read_file(value).map_err(|error| wrong(format!("cannot read {value}: {error}")))?;
            jwk::from_pem(&text).map_err(|error| wrong(format!("{value}: {error}")))
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|index| u8::from_str_radix(text.get(index..index + 2)?, 16).ok()).collect()
}

fn remote(url: &str, prefix: &str, options: &Options) -> Parsed<Remote> {
    let (endpoint, warnings) = Endpoint::from_options(url, prefix, options, &["https", "http", "file"])?;
    let expiry = options.number(&format!("{prefix}expiry")).unwrap_or(86_400);
    let cache = CacheName::of(options, &format!("{prefix}cache")).unwrap_or(CacheName::Default);
    Ok((Remote { endpoint, expiry: Duration::from_secs(expiry), cache }, warnings))
}

fn introspection(
    url: &str,
    options: &Options,
    audience: Option<&str>,
) -> Result<(Endpoint, Box<Introspection>, Vec<Warning>), OptionError> {
    let (mut endpoint, warnings) = Endpoint::from_options(url, "introspect.", options, &["https", "http"])?;
    let introspection = Introspection::from_options(options, audience)?;
    if let ClientAuth::Certificate { files, .. } = introspection.auth() {
        endpoint.client_certificate = Some(files.clone());
    }
    Ok((endpoint, Box::new(introspection), warnings))
}

/// Whether `aud` is the audience of this server's own assertions, as in mod_oauth2, and not that of tokens.
fn assertion_takes_aud(kind: &str, options: &Options) -> bool {
    kind == "introspect"
        && options.text("introspect.aud").is_none()
        && matches!(options.word("introspect.auth").as_deref(), Some("client_secret_jwt" | "private_key_jwt"))
}

fn metadata(url: &str, options: &Options) -> Parsed<Source> {
    let (metadata, mut warnings) = remote(url, "metadata.", options)?;
    // both locations are in the metadata; only settings are taken from here
    let (jwks, more) = remote(url, "jwks_uri.", options)?;
    let audience = options.text("introspect.aud");
    let settings_url = if url.starts_with("http://") { url } else { "https://from.metadata" };
    let (introspection_endpoint, introspection, rest) = introspection(settings_url, options, audience)?;
    for warning in more.into_iter().chain(rest) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let issuer = options.text("iss").map(str::to_owned);
    let issuer_mode = Mode::of_discovered_issuer(options);
    let introspection_rules = ClaimRules {
        // compared with the metadata's, which is this one
        issuer: None,
        ..ClaimRules::from_options(options, Origin::Metadata)?.for_introspection(options)
    };
    let source = MetadataSource {
        metadata,
        jwks,
        introspection: *introspection,
        introspection_endpoint,
        issuer,
        issuer_mode,
        introspection_rules,
    };
    Ok((Source::Metadata(Box::new(source)), warnings))
}

fn load_balancer(arn: &str, options: &Options) -> Parsed<Source> {
    let wrong = || OptionError::Combination(format!("{arn}: not the ARN of a load balancer"));
    let mut parts = arn.split(':');
    let (prefix, _, service, region) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is_region =
        |region: &&str| !region.is_empty() && region.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-');
    let region = region.filter(is_region).ok_or_else(wrong)?;
    if prefix != Some("arn") || service != Some("elasticloadbalancing") {
        return Err(wrong());
    }
    let base = match options.text("alb_base_url") {
        Some(url) => format!("{}/", url.trim_end_matches('/')),
        None => format!("https://public-keys.auth.elb.{region}.amazonaws.com/"),
    };
    check_url(&base, &["https", "http"])
        .map_err(|reason| OptionError::Combination(format!("alb_base_url: {reason}")))?;
    let (remote, warnings) = remote(&base, "aws_alb.", options)?;
    Ok((Source::LoadBalancer { remote, arn: arn.to_owned() }, warnings))
}

#[cfg(test)]
#[path = "verifier_config_tests.rs"]
mod tests;
