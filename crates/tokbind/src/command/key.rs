//! `tokbind keygen` and `tokbind id`.

use super::{Failure, output, read_file};
use clap::Args;
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use token_binding::{KeyPair, KeyParameters, TokenBindingId};

#[derive(Args)]
#[command(after_help = "\
Examples:
  tokbind keygen --out key.pem
  tokbind keygen --key-parameters rsa2048_pss > rsa.pem")]
pub(super) struct KeygenOptions {
    /// What the key is for: ecdsap256, rsa2048_pss or rsa2048_pkcs1.5
    #[arg(long, value_name = "NAME", default_value = "ecdsap256")]
    key_parameters: KeyParameters,
    /// Write the key to this new file, readable by its owner only, and print its ID. Without it the key goes to stdout
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Example:\n  tokbind id --json key.pem")]
pub(super) struct IdOptions {
    /// The private key, PEM
    #[arg(value_name = "KEYFILE")]
    key: PathBuf,
    /// What the key is for. A PEM does not say it of an RSA key: that is taken for rsa2048_pss
    #[arg(long, value_name = "NAME")]
    key_parameters: Option<KeyParameters>,
    /// Print JSON: {"key_parameters": ..., "id": ..., "tbh": ...}
    #[arg(long)]
    json: bool,
}

pub(super) fn keygen(options: &KeygenOptions) -> Result<(), Failure> {
    let key = generate(options.key_parameters)?;
    let pem = key
        .to_private_key_pem()
        .map_err(|error| Failure::Usage(format!("cannot write the key in PEM form: {error}")))?;
    let Some(file) = &options.out else { return output::write(&pem) };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(&pem))
        .map_err(|error| Failure::Usage(format!("cannot write the key to {}: {error}", file.display())))?;
    print_id(&key, false)
}

pub(super) fn id(options: &IdOptions) -> Result<(), Failure> {
    print_id(&load(&options.key, options.key_parameters)?, options.json)
}

/// A new key.
pub(super) fn generate(key_parameters: KeyParameters) -> Result<KeyPair, Failure> {
    KeyPair::generate(key_parameters)
        .map_err(|error| Failure::Usage(format!("cannot make a {key_parameters} key: {error}")))
}

/// The private key in a file.
pub(super) fn load(file: &Path, key_parameters: Option<KeyParameters>) -> Result<KeyPair, Failure> {
    KeyPair::from_private_key_pem(&read_file(file)?, key_parameters)
        .map_err(|error| Failure::Usage(format!("cannot use {}: {error}", file.display())))
}

/// How an ID is shown in every JSON document; other members may be added.
pub(super) fn id_members(id: TokenBindingId<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("id".into(), id.to_base64url().into());
    members.insert("tbh".into(), id.hash().to_base64url().into());
    members
}

fn print_id(key: &KeyPair, as_json: bool) -> Result<(), Failure> {
    let octets = key.id();
    let id = TokenBindingId::new(&octets);
    let name = key.key_parameters().name();
    if as_json {
        let mut document = id_members(id);
        document.insert("key_parameters".into(), name.into());
        output::json(&document.into())
    } else {
        output::line(&format!(
            "key parameters:    {name}\nToken Binding ID:  {}\ntbh:               {}",
            id.to_base64url(),
            id.hash().to_base64url()
        ))
    }
}
