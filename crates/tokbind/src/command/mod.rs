//! The subcommands and what they have in common.

mod bench;
mod exchange;
mod get;
mod histogram;
mod key;
mod message;
pub(crate) mod output;
mod request;
mod session;
mod thumbprint;

use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  tokbind get -v --cacert ca.pem https://localhost:4433/
  tokbind keygen --out key.pem && tokbind id key.pem
  tokbind get --key key.pem --cert client.pem --tls1.2 https://localhost:4433/
  tokbind decode \"$SEC_TOKEN_BINDING\"
  tokbind verify --ekm \"$EKM\" --key-parameters ecdsap256 \"$SEC_TOKEN_BINDING\"

Exit codes:
  0  done, or valid
  1  invalid, or refused by the server; the reason is on stderr
  2  wrong usage: arguments, or files that are not what they should be";

/// A client for Token Binding (RFC 8471, 8472, 8473).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Request a URL with Token Binding and print the response.
    Get(Box<get::Options>),
    /// Request a URL over and over, and say how fast it answers.
    Bench(Box<bench::Options>),
    /// Make a private key for Token Binding.
    Keygen(key::KeygenOptions),
    /// Print the Token Binding ID of a private key and its hash, `tbh`.
    Id(key::IdOptions),
    /// Say in words what is in a Sec-Token-Binding value. No signature is checked.
    Decode(message::DecodeOptions),
    /// Judge a Sec-Token-Binding value as a server would, offline.
    Verify(message::VerifyOptions),
    /// Print the thumbprint of a certificate, `x5t#S256` (RFC 8705).
    Thumbprint(thumbprint::Options),
}

/// Why a subcommand did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was to be judged is invalid, or the server refused, or there is no server. Exit code 1.
    #[error("{0}")]
    Refused(String),
    /// Arguments, or the files they name, are not what they should be. Exit code 2.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
        })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.subcommand {
        Subcommands::Get(options) => get::run(options),
        Subcommands::Bench(options) => bench::run(options),
        Subcommands::Keygen(options) => key::keygen(options),
        Subcommands::Id(options) => key::id(options),
        Subcommands::Decode(options) => message::decode(options),
        Subcommands::Verify(options) => message::verify(options),
        Subcommands::Thumbprint(options) => thumbprint::run(options),
    }
}

/// The octets of a file that an argument names.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}
