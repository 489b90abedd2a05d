//! What can be asked for: the options that `get` and `bench` share.

use super::exchange::Plan;
use super::{Failure, key, read_file};
use clap::{ArgGroup, Args};
use http::{HeaderName, HeaderValue, Method};
use openssl::ssl::SslVersion;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokbind::tls::{Connector, HTTP_1_1, HTTP_2, Identity, Offer};
use token_binding::{KeyPair, KeyParameters, Negotiated, Preference};

/// What is asked for, of whom, and with which proofs.
#[derive(Args)]
#[command(group(ArgGroup::new("tls").args(["tls12", "tls13"])))]
#[command(group(ArgGroup::new("http").args(["http2", "http11"])))]
pub(super) struct Request {
    /// What to request; https only, since Token Binding exists within TLS only
    pub(super) url: String,
    /// The Token Binding key, PEM. Default: a new one, forgotten afterwards
    #[arg(long, alias = "token-binding-key", value_name = "FILE", help_heading = "Token Binding")]
    pub(super) key: Option<PathBuf>,
    /// What to offer, best first. Default: all that --key is good for
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Token Binding")]
    pub(super) key_parameters: Vec<KeyParameters>,
    /// Add a referred binding: for this key, or for a new one. The file has to follow a "="
    #[arg(long, value_name = "KEYFILE", num_args = 0..=1, require_equals = true, help_heading = "Token Binding")]
    pub(super) referred: Option<Option<PathBuf>>,
    /// Do not offer Token Binding
    #[arg(long, conflicts_with_all = ["key", "key_parameters", "referred"], help_heading = "Token Binding")]
    pub(super) no_token_binding: bool,
    /// Send this Sec-Token-Binding value, whatever it is, instead of a fresh one
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with = "referred")]
    #[arg(help_heading = "Token Binding")]
    pub(super) replay: Option<String>,
    /// The client certificate, PEM; its chain may follow, and its key unless --cert-key names it
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(super) cert: Option<PathBuf>,
    /// The private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(super) cert_key: Option<PathBuf>,
    /// Believe the certification authorities in this file, and no others
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = "TLS")]
    pub(super) cacert: Option<PathBuf>,
    /// Believe any server
    #[arg(long, short = 'k', help_heading = "TLS")]
    pub(super) insecure: bool,
    /// TLS 1.2 and no other version
    #[arg(long = "tls1.2", help_heading = "TLS")]
    pub(super) tls12: bool,
    /// TLS 1.3 and no other version
    #[arg(long = "tls1.3", help_heading = "TLS")]
    pub(super) tls13: bool,
    /// Connect there, but still speak to the host of the URL
    #[arg(long, value_name = "HOST:PORT", help_heading = "TLS")]
    pub(super) connect: Option<String>,
    /// HTTP/2 and no other version
    #[arg(long, help_heading = "HTTP")]
    pub(super) http2: bool,
    /// HTTP/1.1 and no other version
    #[arg(long = "http1.1", help_heading = "HTTP")]
    pub(super) http11: bool,
    /// The method. Default: GET, with --data POST
    #[arg(long, short = 'X', value_name = "METHOD", help_heading = "HTTP")]
    pub(super) request: Option<Method>,
    /// Add a header field; as often as wanted
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = parse_field, help_heading = "HTTP")]
    pub(super) header: Vec<(HeaderName, HeaderValue)>,
    /// Add "Authorization: Bearer TOKEN"
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, help_heading = "HTTP")]
    pub(super) bearer: Option<String>,
    /// Send this as the body, or what is in a file: @FILE
    #[arg(long, short = 'd', value_name = "DATA", allow_hyphen_values = true, help_heading = "HTTP")]
    pub(super) data: Option<String>,
    /// Give up when the server is silent for so long
    #[arg(long, value_name = "SECONDS", default_value = "30", help_heading = "HTTP")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) timeout: u32,
}

fn parse_field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header field is written \"Name: value\"")?;
    let name = name.trim().parse().map_err(|_| format!("\"{name}\" is not the name of a header field"))?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| "the value of a header field has no control characters")?;
    Ok((name, value))
}

pub(super) fn connector(
    options: &Request,
    preference: Preference,
    resumption: bool,
) -> Result<Connector, Failure> {
    let offer = if options.no_token_binding { Offer::None } else { Offer::Preference(preference) };
    let mut builder = Connector::builder().offer(offer).resumption(resumption);
    if options.tls12 {
        builder = builder.tls_version(SslVersion::TLS1_2);
    }
    if options.tls13 {
        builder = builder.tls_version(SslVersion::TLS1_3);
    }
    if let Some(file) = &options.cacert {
        // OpenSSL's own words for a missing file are about BIO routines.
        read_file(file)?;
        builder = builder.ca_file(file);
    }
    if options.insecure {
        builder = builder.insecure();
    }
    if let Some(file) = &options.cert {
        builder = builder.identity(identity(file, options.cert_key.as_deref().unwrap_or(file))?);
    }
    builder = builder.alpn(match (options.http2, options.http11) {
        (true, _) => &[HTTP_2],
        (_, true) => &[HTTP_1_1],
        _ => &[HTTP_2, HTTP_1_1],
    });
    builder.build().map_err(|error| Failure::Usage(error.to_string()))
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, Failure> {
    Identity::from_pem(&read_file(certificate)?, &read_file(key)?).map_err(|_| {
        Failure::Usage(format!(
            "no client certificate: {} has to hold a certificate and {} its unencrypted private key, both PEM \
             (--cert, --cert-key)",
            certificate.display(),
            key.display()
        ))
    })
}

pub(super) fn plan(options: &Request, keys: Keys) -> Result<Plan, Failure> {
    let mut fields = options.header.clone();
    if let Some(token) = &options.bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::Usage("--bearer: a token has no control characters".into()))?;
        value.set_sensitive(true); // HTTP/2 then never compresses it (RFC 7541 §7.1.3)
        fields.push((http::header::AUTHORIZATION, value));
    }
    let body = match options.data.as_deref() {
        None => None,
        Some(data) => Some(match data.strip_prefix('@') {
            Some(file) => read_file(Path::new(file))?,
            None => data.as_bytes().to_vec(),
        }),
    };
    let default_method = if body.is_some() { Method::POST } else { Method::GET };
    let replay = options
        .replay
        .as_deref()
        .map(|value| {
            HeaderValue::try_from(value).map_err(|_| "--replay: a header value has no control characters")
        })
        .transpose()
        .map_err(|reason| Failure::Usage(reason.into()))?;
    Ok(Plan {
        method: options.request.clone().unwrap_or(default_method),
        fields,
        body: body.unwrap_or_default(),
        replay,
        keys,
        timeout: Duration::from_secs(options.timeout.into()),
    })
}

/// The keys that bindings are made with.
pub(super) struct Keys {
    file: Option<PathBuf>,
    pub(super) preference: Preference,
    referred: Option<KeyPair>,
    /// The key for the key parameters that were negotiated last.
    provided: Option<KeyPair>,
}

impl Keys {
    pub(super) fn new(options: &Request) -> Result<Self, Failure> {
        let preference = match (&options.key, options.key_parameters.as_slice()) {
            (None, []) => Preference::default(),
            (Some(file), []) => fitting(file)?,
            (file, list) => {
                // Each has to fit the key, or the server could choose what cannot be signed.
                for &key_parameters in file.iter().flat_map(|_| list) {
                    key::load(file.as_deref().unwrap_or(Path::new("")), Some(key_parameters))?;
                }
                Preference::new(list).map_err(|error| Failure::Usage(format!("--key-parameters: {error}")))?
            }
        };
        let referred = match &options.referred {
            None => None,
            Some(None) => Some(key::generate(KeyParameters::EcdsaP256)?),
            Some(Some(file)) => Some(key::load(file, None)?),
        };
        Ok(Self { file: options.key.clone(), preference, referred, provided: None })
    }

    /// The provided key for what was negotiated, and the referred one. The same is given every time.
    pub(super) fn for_connection(
        &mut self,
        negotiated: Negotiated,
    ) -> Result<(&KeyPair, Option<&KeyPair>), Failure> {
        let key_parameters = negotiated.key_parameters;
        let kept = self.provided.take().filter(|key| key.key_parameters() == key_parameters);
        let provided = match (kept, &self.file) {
            (Some(key), _) => key,
            (None, Some(file)) => key::load(file, Some(key_parameters))?,
            (None, None) => key::generate(key_parameters)?,
        };
        Ok((self.provided.insert(provided), self.referred.as_ref()))
    }
}

/// The key parameters that a private key is good for: an RSA key for two.
fn fitting(file: &Path) -> Result<Preference, Failure> {
    // Whatever else is wrong with the file is said here.
    key::load(file, None)?;
    let fitting =
        Preference::default().iter().filter(|&each| key::load(file, Some(each)).is_ok()).collect::<Vec<_>>();
    Preference::new(&fitting).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}
