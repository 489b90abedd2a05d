//! `tokbind bench` against a server in this process.

use crate::get::{Site, refusing};
use crate::server::Settings;
use serde_json::Value;
use std::collections::BTreeSet;

/// What it printed, and the distinct messages that the server saw and verified.
fn bench(site: &Site, arguments: &[&str]) -> (Value, BTreeSet<String>) {
    let run = site.run("bench", &[&["--json"], arguments].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let message = |head: String| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("sec-token-binding: "));
        line.map(str::to_owned).unwrap()
    };
    let seen = site.server.seen().into_iter();
    let messages = seen.map(|seen| seen.verdict.unwrap().map(|_| message(seen.head)).unwrap()).collect();
    (serde_json::from_str(&run.stdout).unwrap(), messages)
}

#[test]
fn a_message_is_signed_once_for_each_connection() {
    let site = Site::new(Settings::default());
    let (result, messages) = bench(&site, &["--requests", "30", "-c", "3"]);
    assert_eq!((&result["requests"], &result["statuses"]["200"]), (&30.into(), &30.into()), "{result}");
    assert_eq!(result["handshakes"], messages.len(), "{result}");
    assert!(messages.len() <= 3, "{result}");
    let latency = |name: &str| result["latency_us"][name].as_u64().unwrap();
    assert!(
        latency("p50") > 0 && latency("p50") <= latency("p99") && latency("p99") <= latency("max"),
        "{result}"
    );
    assert!(result["requests_per_second"].as_f64().unwrap() > 0.0, "{result}");
}

#[test]
fn a_new_connection_for_each_request() {
    let site = Site::new(Settings::default());
    let (result, messages) = bench(&site, &["--requests", "5", "-c", "2", "--new-connections"]);
    assert_eq!((&result["handshakes"], messages.len()), (&5.into(), 5), "{result}");
}

#[test]
fn http2_and_a_time_limit() {
    let site = Site::new(Settings { http2: true, ..Settings::default() });
    let run = site.run("bench", &["--http2", "-c", "1", "--duration", "1", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(result["handshakes"], 1, "{result}");
    assert!((1.0..10.0).contains(&result["seconds"].as_f64().unwrap()), "{result}");
    assert!(site.server.seen().iter().all(|seen| seen.verdict.as_ref().unwrap().is_ok()));
}

#[test]
fn answers_of_another_status_than_expected_fail_the_run() {
    let site = Site::new(refusing("401 Unauthorized"));
    for (expect, code) in [(&[][..], 1), (&["--expect", "200"], 1), (&["--expect", "401"], 0)] {
        let run = site.run("bench", &[&["--requests", "4", "-c", "1"], expect].concat());
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stdout.contains("401: 4"), "{run:?}");
        assert_eq!(run.stderr.contains("4 answers have status 401"), code == 1, "{run:?}");
    }
}

#[test]
fn without_a_server_there_is_no_result() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let run =
        crate::command::tokbind(&["bench", "--requests", "1", "--connect", &port, "https://localhost/"]);
    assert!(run.code == 1 && run.stdout.is_empty() && run.stderr.contains(&port), "{run:?}");
}
