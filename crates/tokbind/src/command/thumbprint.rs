//! `tokbind thumbprint`.

use super::{Failure, output, read_file};
use clap::Args;
use openssl::error::ErrorStack;
use openssl::x509::{X509, X509Ref};
use serde_json::json;
use std::path::PathBuf;
use token_binding::base64url;

#[derive(Args)]
#[command(after_help = "Example:\n  tokbind thumbprint client.pem")]
pub(super) struct Options {
    /// The certificate, PEM or DER. Of several, the first counts.
    #[arg(value_name = "CERT.pem")]
    certificate: PathBuf,
    /// Print JSON: {"x5t#S256": ...}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let file = &options.certificate;
    let octets = read_file(file)?;
    let thumbprint = X509::from_pem(&octets)
        .or_else(|_| X509::from_der(&octets))
        .and_then(|certificate| of(&certificate))
        .map_err(|_| Failure::Usage(format!("{} holds no certificate in PEM or DER form", file.display())))?;
    if options.json { output::json(&json!({ "x5t#S256": thumbprint })) } else { output::line(&thumbprint) }
}

/// RFC 8705 §3.1: base64url of the SHA-256 of the certificate's DER.
pub(super) fn of(certificate: &X509Ref) -> Result<String, ErrorStack> {
    Ok(base64url::encode(&openssl::sha::sha256(&certificate.to_der()?)))
}
