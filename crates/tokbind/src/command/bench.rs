//! `tokbind bench`: the same request over and over, on several connections at a time.

use super::exchange::{Answer, Plan, Requests};
use super::histogram::Histogram;
use super::request::{Keys, Request, connector, plan};
use super::session::{Session, Target};
use super::{Failure, output};
use clap::Args;
use http::HeaderValue;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokbind::tls::Connector;

const HELP: &str = "\
Examples:
  Ten seconds, ten connections:      tokbind bench --cacert ca.pem https://localhost:4433/
  A handshake for each request:      tokbind bench --new-connections --requests 1000 https://localhost:4433/
  Bound tokens:                      tokbind bench --cert client.pem --bearer \"$TOKEN\" https://localhost:4433/
  Refusals are what is measured:     tokbind bench --no-token-binding --expect 401 https://localhost:4433/

The Sec-Token-Binding field is signed once for each connection and repeated on it.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Options {
    #[command(flatten)]
    request: Request,

    /// So many connections at a time
    #[arg(long, short = 'c', value_name = "N", default_value = "10", help_heading = "Load")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Stop after so long
    #[arg(long, value_name = "SECONDS", default_value = "10", help_heading = "Load")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    duration: u32,
    /// Stop after so many requests, however long they take
    #[arg(long, value_name = "N", conflicts_with = "duration", help_heading = "Load")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// A new connection for each request; its handshake counts in the latency
    #[arg(long, help_heading = "Load")]
    new_connections: bool,
    /// The status that each answer must have. Default: any below 400
    #[arg(long, value_name = "STATUS", help_heading = "Load")]
    #[arg(value_parser = clap::value_parser!(u16).range(100..600))]
    expect: Option<u16>,
    /// Print the result as a JSON document
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// When it is enough.
struct Budget {
    requests: Option<AtomicU64>,
    end: Instant,
}

impl Budget {
    /// Whether one more request is wanted. It is taken.
    fn take(&self) -> bool {
        match &self.requests {
            Some(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            }
            None => Instant::now() < self.end,
        }
    }
}

/// What came of the requests.
#[derive(Default)]
struct Tally {
    latencies: Histogram,
    statuses: BTreeMap<u16, u64>,
    handshakes: u64,
    /// Requests that failed since the server had ended the connection; they were sent again on a new one.
    repeated: u64,
}

impl Tally {
    fn merge(mut self, other: &Self) -> Self {
        self.latencies.merge(&other.latencies);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.handshakes += other.handshakes;
        self.repeated += other.repeated;
        self
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let target = Target::new(&options.request.url, options.request.connect.as_deref())?;
    let start = Instant::now();
    let budget = Budget {
        requests: options.requests.map(AtomicU64::new),
        end: start + Duration::from_secs(options.duration.into()),
    };
    // A thread for each connection: each waits for its own answers, and signing uses all processors.
    let tallies: Result<Vec<Tally>, Failure> = thread::scope(|scope| {
        let client = || scope.spawn(|| client(options, &target, &budget));
        let clients: Vec<_> = (0..options.connections).map(|_| client()).collect();
        let lost = |_| Err(Failure::Refused("a client ended before its time".into()));
        clients.into_iter().map(|client| client.join().unwrap_or_else(lost)).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let tally = tallies?.iter().fold(Tally::default(), Tally::merge);
    report(options, &tally, seconds)?;
    judge(options.expect, &tally)
}

/// One connection after the other, until it is enough.
fn client(options: &Options, target: &Target, budget: &Budget) -> Result<Tally, Failure> {
    let keys = Keys::new(&options.request)?;
    let connector = connector(&options.request, keys.preference, false)?;
    let mut plan = plan(&options.request, keys)?;
    let mut tally = Tally::default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Usage(format!("cannot start the runtime: {error}")))?
        .block_on(async {
            let given = plan.replay.clone();
            let mut requests: Option<Requests<'_>> = None;
            while budget.take() {
                let start = Instant::now();
                let answer =
                    one(options, target, &connector, &mut requests, &mut plan, &given, &mut tally).await?;
                tally.latencies.record(start.elapsed());
                *tally.statuses.entry(answer.status.as_u16()).or_default() += 1;
                if options.new_connections
                    && let Some(done) = requests.take()
                {
                    done.finish().await;
                }
            }
            Ok(tally)
        })
}

/// One request, on the connection there is or on a new one.
async fn one<'t>(
    options: &Options,
    target: &'t Target,
    connector: &Connector,
    connection: &mut Option<Requests<'t>>,
    plan: &mut Plan,
    given: &Option<HeaderValue>,
    tally: &mut Tally,
) -> Result<Answer, Failure> {
    if let Some(requests) = connection {
        if let Ok(answer) = requests.perform(plan).await {
            return Ok(answer);
        }
        tally.repeated += 1;
    }
    let session = Session::open(connector, target, plan.timeout).await?;
    if options.request.http2 && !session.speaks_http2() {
        return Err(Failure::Refused("the server does not speak HTTP/2".into()));
    }
    tally.handshakes += 1;
    let requests = connection.insert(Requests::start(session, target).await?);
    // A message holds for its connection (RFC 8471 §3.3) and may be sent with each request on it.
    plan.replay = given.clone();
    let answer = requests.perform(plan).await?;
    plan.replay = answer.message.as_deref().and_then(|message| HeaderValue::try_from(message).ok());
    Ok(answer)
}

fn report(options: &Options, tally: &Tally, seconds: f64) -> Result<(), Failure> {
    let Tally { latencies, statuses, handshakes, repeated } = tally;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let rate = latencies.count() as f64 / seconds;
    let percentiles = [500, 900, 990, 999].map(|part| latencies.per_mille(part));
    let [p50, p90, p99, p999] = percentiles;
    if options.json {
        let statuses: BTreeMap<String, u64> =
            statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        return output::json(&json!({
            "requests": latencies.count(),
            "seconds": seconds,
            "requests_per_second": rate,
            "connections": options.connections,
            "handshakes": handshakes,
            "repeated": repeated,
            "statuses": statuses,
            "latency_us": {
                "mean": latencies.mean(), "p50": p50, "p90": p90, "p99": p99, "p99.9": p999,
                "max": latencies.largest(),
            },
        }));
    }
    let list: Vec<String> = statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    output::line(&format!("requests    {} in {seconds:.2} s, {rate:.0} per second", latencies.count()))?;
    output::line(&format!(
        "connections {} at a time, {handshakes} handshakes, {repeated} requests sent again",
        options.connections
    ))?;
    output::line(&format!("statuses    {}", list.join(", ")))?;
    output::line(&format!(
        "latency     mean {} µs, 50 % {p50}, 90 % {p90}, 99 % {p99}, 99.9 % {p999}, at most {}",
        latencies.mean(),
        latencies.largest()
    ))
}

/// A load whose answers are others than expected measures something else.
fn judge(expect: Option<u16>, tally: &Tally) -> Result<(), Failure> {
    let good = |status: u16| expect.map_or(status < 400, |expected| status == expected);
    match tally.statuses.iter().find(|(status, _)| !good(**status)) {
        Some((status, count)) => Err(Failure::Refused(format!("{count} answers have status {status}"))),
        None => Ok(()),
    }
}
