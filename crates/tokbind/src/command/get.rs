//! `tokbind get`: the order in which things are done.

use super::exchange::{Answer, Plan};
use super::request::{Keys, Request, connector, plan};
use super::session::{Session, Target};
use super::{Failure, exchange, output};
use clap::Args;
use serde_json::{Value, json};
use tokbind::tls::Connector;

const HELP: &str = "\
Examples:
  See what is negotiated:            tokbind get -v https://example.org/
  Keep the same Token Binding ID:    tokbind get --key key.pem https://example.org/
  A client certificate besides:      tokbind get --cert client.pem --cert-key client.key https://example.org/
  A token bound to it:               tokbind get --cert client.pem --bearer \"$TOKEN\" https://example.org/
  Refer to another server's key:     tokbind get --referred=other.pem https://provider.example/
  Replay a captured value:           tokbind get --replay \"$SEC_TOKEN_BINDING\" https://example.org/

Two kinds of private keys: --key is the Token Binding key, --cert-key belongs to the certificate of --cert.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Options {
    #[command(flatten)]
    request: Request,

    /// Print the Sec-Token-Binding value on stderr
    #[arg(long, help_heading = "Token Binding")]
    print_message: bool,
    /// Connect a second time, resuming the session of the first, and request again
    #[arg(long, help_heading = "TLS")]
    resume: bool,
    /// Request so many times on one connection
    #[arg(long, value_name = "N", default_value = "1", help_heading = "HTTP")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Print status and header fields before the body
    #[arg(long, short = 'i', help_heading = "Output")]
    include: bool,
    /// Say on stderr what was negotiated
    #[arg(long, short = 'v', help_heading = "Output")]
    verbose: bool,
    /// Print everything as one JSON document
    #[arg(long, conflicts_with = "include", help_heading = "Output")]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let target = Target::new(&options.request.url, options.request.connect.as_deref())?;
    let keys = Keys::new(&options.request)?;
    let connector = connector(&options.request, keys.preference, options.resume)?;
    let plan = plan(&options.request, keys)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Usage(format!("cannot start the runtime: {error}")))?
        .block_on(perform(options, &target, &connector, plan))
}

/// Connects once or twice, requests, prints; the first refusal decides what the command says in the end.
async fn perform(
    options: &Options,
    target: &Target,
    connector: &Connector,
    mut plan: Plan,
) -> Result<(), Failure> {
    let mut connections = Vec::new();
    let mut refusal = None;
    let rounds = if options.resume { 2 } else { 1 };
    for round in 0..rounds {
        let session = Session::open(connector, target, plan.timeout).await?;
        if options.request.http2 && !session.speaks_http2() {
            return Err(Failure::Refused("the server does not speak HTTP/2".into()));
        }
        if round > 0 && !session.resumed() {
            output::warning("the server did not resume the session");
        }
        if options.verbose {
            session.describe(options.request.cert.is_some());
        }
        let mut responses = Vec::new();
        let mut requests = exchange::Requests::start(session.clone(), target).await?;
        for _ in 0..options.repeat {
            let answer = requests.perform(&mut plan).await?;
            refusal = refusal.or_else(|| answer.refusal());
            print(options, &answer)?;
            responses.push(answer.json(options.print_message));
        }
        connections.push(session.json(responses));
        drop(session);
        requests.finish().await;
    }
    if options.json {
        output::json(&json!({ "connections": Value::from(connections) }))?;
    }
    refusal.map_or(Ok(()), |reason| Err(Failure::Refused(reason)))
}

fn print(options: &Options, answer: &Answer) -> Result<(), Failure> {
    if options.verbose {
        answer.describe();
    }
    if options.print_message
        && let Some(message) = &answer.message
    {
        output::detail("Sec-Token-Binding", message);
    }
    if options.json {
        return Ok(());
    }
    if options.include {
        output::write(&answer.head())?;
    }
    output::write(&answer.body)
}
