//! Memory, disks and file descriptors are used up.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokbind::tls::Offer;

use super::children;
use crate::common::process::poll;
use crate::common::{Bound, Httpd, connector, id, keys};
use crate::oauth2::tokens::{self, token};
use crate::oauth2_server::{authorization_server, opaque, present_plainly, resource_server, status};

/// A limit of all children of a server, set by their own user and group. setpriv(1) and prlimit(1) are part of util-linux.
fn limit(server: &Httpd, limit: &str) {
    children(server).into_iter().for_each(|pid| limit_of(pid, limit));
}

fn limit_of(pid: u32, limit: &str) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a child of ours");
    let real = |kind: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(kind));
        line.and_then(|line| line.split_whitespace().next()).expect("a number").to_owned()
    };
    let (user, group) = (real("Uid:"), real("Gid:"));
    let mut command = Command::new("prlimit");
    if fs::metadata("/proc/self").expect("procfs").uid() == 0 {
        command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups", "--", "prlimit"]);
    }
    let done = command.args(["--pid", &pid.to_string(), limit]).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit {limit} of {pid}, user {user}");
}

/// The limit at which a process can open nothing more.
fn lowest_free(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("a child of ours");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<usize>().ok());
    let open: BTreeSet<usize> = names.collect();
    (0..).find(|number| !open.contains(number)).expect("numbers do not end")
}

/// The smallest cache that mod_socache_shmcb takes: it forgets, and nothing else changes.
#[test]
fn a_shared_cache_that_is_full_forgets() {
    let server = Httpd::builder()
        .load(&["authz_user"])
        .value("one", tokens::keys().one.quoted())
        .config("OAuth2Cache socache provider=shmcb:{run}/verdicts(8192)&encrypt=off")
        .config(
            "<Location />\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TokenVerify jwk {one} verify.cache=default\n</Location>",
        )
        .allow_log("encrypt=false")
        .allow_log("socache_shmcb")
        .start();
    let large = "x".repeat(1500);
    let all: Vec<String> = (0..60).map(|number| token(json!({"jti": number, "more": large}))).collect();
    for _ in 0..2 {
        for one in &all {
            assert_eq!(present_plainly(&server, "/hello.txt", one).status, 200);
        }
    }
    let (rest, _) = all[0].rsplit_once('.').unwrap();
    assert_eq!(present_plainly(&server, "/hello.txt", &format!("{rest}.AAAA")).status, 401);
}

/// The logs of a virtual host are on a full disk.
#[test]
fn logs_that_cannot_be_written_change_no_answer() {
    let server = Httpd::builder()
        .load(&["authz_user"])
        .value("one", tokens::keys().one.quoted())
        .config("<Location /cgi>\nAuthType oauth2\nAuthName api\nRequire valid-user\nOAuth2TokenVerify jwk {one}\n</Location>")
        .tls_config("ErrorLog /dev/full\nCustomLog /dev/full status")
        .start();
    for _ in 0..5 {
        let mut client = Bound::open(&server);
        let answer = client.get("/cgi/env.cgi", &[&format!("Authorization: Bearer {}", token(json!({})))]);
        assert_eq!(
            answer.variable("Sec_Provided_Token_Binding_ID"),
            Some(id(&keys().a).as_str()),
            "{answer:?}"
        );
        assert_eq!(client.get("/cgi/env.cgi", &["Authorization: Bearer x"]).status, 401);
        assert_eq!(Bound::open(&server).unbound("/hello.txt", &[]).status, 400);
    }
}

/// No process may make a file longer: the cache and the logs cannot be written any more.
#[test]
fn a_full_disk_costs_the_file_cache_and_no_request() {
    let issuer = authorization_server();
    let tokens: Vec<String> = (0..4).map(|_| issuer.token(&opaque())).collect();
    let server = resource_server(&issuer, &[("api", "{introspect}")])
        .load(&["socache_dbm"])
        .config("OAuth2CryptoPassphrase \"correct horse battery staple\"\nOAuth2Cache file dir={run}")
        .allow_log("socache_dbm")
        .start();
    assert_eq!(status(&server, "/api/hello", &tokens[0]), 200);
    limit(&server, "--fsize=0:");
    for token in tokens.iter().cycle().take(12) {
        assert_eq!(status(&server, "/api/hello", token), 200);
        assert_eq!(status(&server, "/api/hello", "nonsense"), 401);
    }
    limit(&server, "--fsize=unlimited:");
    assert_eq!(status(&server, "/api/hello", &issuer.token(&opaque())), 200);
}

/// A process that may open no more files serves what needs none, and says 503 to tokens about which it cannot ask.
#[test]
fn without_file_descriptors_nobody_is_let_in() {
    let issuer = authorization_server();
    let bad = "nonsense";
    let server = resource_server(
        &issuer,
        &[
            ("api", "{introspect}&introspect.http_timeout=2"),
            ("local", "OAuth2TokenVerify jwk {one}\nOAuth2TargetPass remote_user_claim=sub"),
        ],
    )
    .value("one", tokens::keys().one.quoted())
    .allow_log("cannot be judged")
    .allow_log("no answer from")
    .allow_log("authorization server https://")
    .allow_log("Too many open files")
    .start();
    // On connections that are there: where httpd cannot accept one, it ends the process and starts another; and it closes one after a
    // 503. The authorization server was not asked yet, so no connection to it is kept.
    let connector = connector().offer(Offer::None).build().unwrap();
    let mut clients = [(); 5].map(|()| Bound::connect(&connector, server.tls(), "localhost")).into_iter();
    let mut ask = |path: &str, token: &str| {
        let field = format!("Authorization: Bearer {token}");
        clients.next().expect("enough of them").unbound(path, &[&field]).status
    };
    assert_eq!(ask("/local/hello", &token(json!({}))), 200);
    for pid in children(&server) {
        limit_of(pid, &format!("--nofile={}:", lowest_free(pid)));
    }
    assert_eq!(ask("/api/hello", bad), 503);
    assert_eq!(ask("/api/hello", &issuer.token(&opaque())), 503);
    assert_eq!(ask("/local/hello", "nonsense"), 401);
    // It is judged, and then the file cannot be opened.
    assert_ne!(ask("/local/hello", &token(json!({}))), 401);
    limit(&server, "--nofile=1024:");
    let served = || {
        thread::sleep(Duration::from_millis(200));
        (status(&server, "/api/hello", &issuer.token(&opaque())) == 200).then_some(())
    };
    poll(Duration::from_secs(40), served).expect("it asks again");
    assert_eq!(status(&server, "/api/hello", bad), 401);
}
