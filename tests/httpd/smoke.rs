//! The harness itself: does a server start, answer, restart and stop, and does the log's judge see what it must?

use crate::common::exchange::{get_plain, get_tls};
use crate::common::log::{Expectations, judge, matches};
use crate::common::witness::Witness;
use crate::common::{Backend, Httpd, Independent, Mpm, Vhost};
use serde_json::json;

#[test]
fn every_mpm_serves_restarts_and_stops() {
    for mpm in Mpm::ALL {
        let mut server = Httpd::builder().without_module().mpm(mpm).start();
        assert_eq!(get_tls(server.tls(), "localhost", "/hello.txt", &[]).body, "hello\n");
        server.graceful();
        assert_eq!(get_plain(server.plain(), "localhost", "/", &[]).status, 200);
        server.hard_restart();
        let answer = get_tls(server.tls(), "localhost", "/cgi/env.cgi", &["X-Seen: yes"]);
        assert_eq!(answer.variable("HTTP_X_SEEN"), Some("yes"), "{mpm:?}");
        assert!(server.access_log().contains("localhost"), "{mpm:?}");
    }
}

#[test]
fn the_site_redirects_internally_and_includes() {
    let server = Httpd::builder().without_module().load(&["include"]).start();
    let redirected = get_tls(server.tls(), "localhost", "/cgi/redirect.cgi", &[]);
    assert_eq!(redirected.variable("REDIRECT_STATUS"), Some("200"));
    assert_eq!(redirected.variable("SCRIPT_NAME"), Some("/cgi/env.cgi"));
    let included = get_tls(server.tls(), "localhost", "/include.shtml", &[]);
    assert_eq!(included.variable("DOCUMENT_URI"), Some("/include.shtml"), "{included:?}");
}

#[test]
fn hosts_have_names_and_ports_of_their_own() {
    let server = Httpd::builder()
        .without_module()
        .load(&["headers"])
        .config("Header always set X-Host main")
        .vhost(Vhost::tls("other.test").config("Header always set X-Host other"))
        .vhost(Vhost::tls("third.test").on("third").config("Header always set X-Host third"))
        .start();
    let host = |address, name| get_tls(address, name, "/", &[]).header("X-Host").map(str::to_owned);
    assert_eq!(host(server.tls(), "localhost").as_deref(), Some("main"));
    assert_eq!(host(server.tls(), "other.test").as_deref(), Some("other"));
    assert_eq!(host(server.port("third"), "third.test").as_deref(), Some("third"));
}

#[test]
fn backends_say_what_reached_them() {
    let (http, https) = (Backend::http(), Backend::https());
    let server = Httpd::builder()
        .without_module()
        .load(&["proxy", "proxy_http"])
        .value("http", http.port())
        .value("https", https.port())
        .tls_config(
            "SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem\n\
             ProxyPass /http http://localhost:{http}\nProxyPass /https https://localhost:{https}",
        )
        .start();
    for (path, backend) in [("/http/a", &http), ("/https/a", &https)] {
        let answer = get_tls(server.tls(), "localhost", path, &["X-Seen: yes"]);
        assert!(answer.body.starts_with("GET /a HTTP/1.1\r\n"), "{answer:?}");
        assert_eq!(backend.heads(), std::slice::from_ref(&answer.body));
        assert!(answer.body.contains("X-Seen: yes"), "{answer:?}");
    }
    assert!(http.offered_extensions().is_empty());
    // supported_versions (RFC 8446 §4.2.1): OpenSSL always sends it.
    assert!(https.offered_extensions()[0].contains(&43), "{:?}", https.offered_extensions());
}

#[test]
fn the_independent_client_speaks_tls_and_http() {
    let server = Httpd::builder().without_module().tls_config("SSLOptions +StdEnvVars").start();
    let mut client = Independent::start();
    for tls in ["1.2", "1.3"] {
        // Session IDs (TLS 1.2 only), then tickets.
        for tickets in [false, true] {
            let first = format!("{tls} {tickets}");
            let options = json!({"tls": tls, "tickets": tickets, "offer": "01000102"});
            let session = client.connect(&first, server.tls(), &options).done();
            assert_eq!(session.token_binding, None, "{first}");
            assert!(
                !session.resumed && session.extended_master_secret && session.ekm.len() == 64,
                "{session:?}"
            );
            let seen = client.get(&first, "/cgi/env.cgi", &["X-Seen: yes"]);
            assert_eq!(seen.variable("HTTP_X_SEEN"), Some("yes"), "{first}");
            assert_eq!(client.get(&first, "/hello.txt", &[]).body, "hello\n", "{first}");
            let mut again = options.clone();
            again["resume"] = first.as_str().into();
            let resumed = client.connect("again", server.tls(), &again).done();
            assert!(resumed.resumed, "{first}");
            assert_ne!(resumed.ekm, session.ekm, "RFC 5705 §4: each connection has its own keying material");
            assert_eq!(
                client.get("again", "/cgi/env.cgi", &[]).variable("SSL_SESSION_RESUMED"),
                Some("Resumed")
            );
        }
    }
    let without =
        client.connect("without", server.tls(), &json!({"ems": false, "renegotiation": "none"})).done();
    assert!(!without.extended_master_secret);
}

#[test]
fn the_independent_client_exports_what_openssl_exports() {
    // mod_ssl exports nothing itself: a server of our own is the witness.
    for (tls, certificate) in [("1.2", false), ("1.3", false), ("1.2", true), ("1.3", true)] {
        let witness = Witness::start();
        let mut options = json!({"tls": tls});
        if certificate {
            options["certificate"] = witness.file("client_a.pem").into();
            options["private_key"] = witness.file("client_a.key").into();
        }
        let session = Independent::start().connect("one", witness.address(), &options).done();
        assert_eq!(session.ekm, witness.ekm(), "{options}");
    }
}

#[test]
fn a_faulty_configuration_is_refused() {
    let good = Httpd::builder().without_module().configtest();
    assert_eq!(good.code, Some(0), "{good:?}");
    let misspelt = || Httpd::builder().without_module().tls_config("TokenBindingEnbaled On");
    for bad in [misspelt().configtest(), misspelt().try_start().err().expect("it must not start")] {
        assert_eq!(bad.code, Some(1), "{bad:?}");
        assert!(bad.output.contains("Invalid command 'TokenBindingEnbaled'"), "{bad:?}");
    }
}

#[test]
#[should_panic(expected = "script not found")]
fn an_unexpected_log_line_fails_the_test() {
    let server = Httpd::builder().without_module().start();
    server.forbid_in_log("not in there");
    // mod_cgid logs this at error.
    assert_eq!(get_plain(server.plain(), "localhost", "/cgi/missing.cgi", &[]).status, 404);
    drop(server);
    unreachable!("the drop panics");
}

#[test]
fn an_expected_log_line_does_not() {
    let server = Httpd::builder().without_module().expect_log("missing.cgi*script not found").start();
    let mark = server.log_mark();
    assert_eq!(get_plain(server.plain(), "localhost", "/cgi/missing.cgi", &[]).status, 404);
    assert!(server.wait_for_log(mark, "missing.cgi").contains("AH01264"));
}

#[test]
#[should_panic(expected = "ended by itself")]
fn a_server_that_dies_fails_the_test() {
    let server = Httpd::builder().without_module().allow_log("*").start();
    let pid = server.pid().to_string();
    assert!(
        std::process::Command::new("sh").args(["-c", "kill -s KILL $0", &pid]).status().unwrap().success()
    );
    std::thread::sleep(std::time::Duration::from_millis(200));
}

#[test]
fn the_judge_reads_levels_modules_and_secrets() {
    let line =
        |tag: &str, text: &str| format!("[Sat Nov 21 03:15:58.029344 2026] [{tag}] [pid 1:tid 2] {text}");
    let faults = |line: &str, expectations: &Expectations| judge(line, expectations).len();
    let nothing = Expectations::default();
    let secret = Expectations { secrets: vec!["s3cret".into()], ..Expectations::default() };
    for (tag, text, bad) in [
        ("core:notice", "all well", 0),
        ("core:warn", "not well", 1),
        ("ssl:error", "not well", 1),
        ("token_binding:info", "refused", 0),
        ("core:notice", "child pid 7 exit signal Segmentation fault (11)", 1),
    ] {
        assert_eq!(faults(&line(tag, text), &nothing), bad, "{tag} {text}");
    }
    for (tag, bad) in [("token_binding:info", 1), ("token_binding:trace4", 0), ("core:info", 0)] {
        assert_eq!(faults(&line(tag, "value s3cret"), &secret), bad, "{tag}");
    }
    assert_eq!(faults("thread '<unnamed>' panicked at src/lib.rs:1", &nothing), 1);
    assert_eq!(faults("something on standard error", &nothing), 1);
    let allowed = Expectations { allowed: vec!["not*well".into()], ..Expectations::default() };
    assert_eq!(faults(&line("core:warn", "not so well"), &allowed), 0);
    let required = Expectations { required: vec!["never said".into()], ..Expectations::default() };
    assert_eq!(faults(&line("core:notice", "all well"), &required), 1);
    assert!(matches("a b c", "a*c") && !matches("c b a", "a*c") && matches("abc", ""));
}
