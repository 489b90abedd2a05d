//! docs/migration.md: old configurations load as it says, and do what it says.

use super::configuration::read;
use crate::common::configuration::Verdict;
use crate::common::log::matches;
use crate::common::{Backend, Bound, Builder, Httpd, id, keys};

/// The configurations with this mark above them.
fn examples(mark: &str) -> Vec<String> {
    let document = read("docs/migration.md");
    let beginning = format!("<!-- {mark} -->\n```apache\n");
    let marked = document.split(&beginning).skip(1);
    let examples: Vec<String> =
        marked.map(|rest| rest.split("\n```").next().expect("an end").to_owned()).collect();
    assert!(!examples.is_empty(), "{mark}");
    examples
}

/// On our ports, with our certificates.
fn builder(text: &str, backend: u16) -> Builder {
    let text = text
        .replace("*:443", "127.0.0.1:{port:tls}")
        .replace("www.example.org\n", "www.test\n")
        .replace("/etc/ssl/certs/www.example.org.pem", "{pki}/server.pem")
        .replace("/etc/ssl/private/www.example.org.key", "{pki}/server.key")
        .replace("backend.example.org:8080", "127.0.0.1:{backend}");
    Httpd::builder()
        .load(&["authz_user", "headers", "proxy", "proxy_http"])
        .value("backend", backend)
        .config(&text)
}

fn complaints(verdict: &Verdict) -> Vec<&str> {
    verdict.output.lines().filter(|line| line.contains("[token_binding:")).collect()
}

#[test]
fn old_configurations_load() {
    let document = read("docs/migration.md");
    assert_eq!(document.matches("```apache").count(), examples("loads").len() + examples("warns").len());
    for text in examples("loads") {
        let verdict = builder(&text, 9).configtest();
        assert_eq!(verdict.code, Some(0), "{text}\n{verdict:?}");
        assert!(complaints(&verdict).is_empty(), "{text}\n{verdict:?}");
    }
    for text in examples("warns") {
        let verdict = builder(&text, 9).configtest();
        assert_eq!(verdict.code, Some(0), "{text}\n{verdict:?}");
        assert!(complaints(&verdict).iter().all(|line| line.contains("has no effect")), "{verdict:?}");
        assert_eq!(complaints(&verdict).len(), 2, "{text}\n{verdict:?}");
    }
}

#[test]
fn a_configuration_of_version_1_loads_and_works() {
    let backend = Backend::http();
    let server = builder(&examples("loads")[0], backend.port()).start();
    let connect = || {
        let connector = crate::common::connector().insecure().build().expect("a connector");
        Bound::connect(&connector, server.tls(), "www.test")
    };
    let mut client = connect();
    let message = client.message();
    let head = client.replay("/page", &message, &["TB-SSL-Client-Cert-Fingerprint: forged"]).body;
    let provided = id(&keys().a);
    for field in ["Sec-Provided-Token-Binding-ID", "X-Provided"] {
        assert!(head.contains(&format!("{field}: {provided}\r\n")), "{field} {head}");
    }
    for absent in ["forged", "Context", "Sec-Token-Binding:"] {
        assert!(!head.contains(absent), "{absent} {head}");
    }
    // What 1.x got wrong.
    assert_eq!(connect().replay("/page", &message, &[]).status, 400);
    assert_eq!(connect().unbound("/page", &[]).status, 400);
}

/// A row of a table, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let document = read("docs/migration.md");
    let (_, section) = document.split_once(&format!("### {heading}\n")).expect("a section");
    let section = section.split("\n#").next().expect("its end");
    let cells = |line: &str| {
        let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
        Some(line.split(" | ").map(|cell| cell.trim_matches('`').to_owned()).collect())
    };
    section.lines().filter_map(cells).collect()
}

/// In a location, beside a cache for those who name one.
fn in_place(line: &str) -> Verdict {
    let (server, place) =
        if line.starts_with("OAuth2Cache") { (line, "") } else { ("OAuth2Cache shm", line) };
    Httpd::builder().config(&format!("{server}\n<Location /api>\n{place}\n</Location>")).configtest()
}

#[test]
fn what_is_refused_is_refused_with_these_words() {
    let rows = rows("Configurations that are refused");
    assert!(rows.len() >= 8, "{rows:?}");
    for row in rows {
        let (line, reason) = (&row[0], row[1].split('`').next().expect("a text"));
        let verdict = in_place(line);
        assert_eq!(verdict.code, Some(1), "{line} {verdict:?}");
        assert!(
            verdict.output.lines().any(|said| matches(said, reason)),
            "{line}: not `{reason}` {verdict:?}"
        );
    }
}

#[test]
fn each_option_of_liboauth2_is_what_its_row_says() {
    let value = |kind: &str| match kind {
        "plain" => "a-secret-of-thirty-two-characters!",
        "aws_alb" => "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y",
        _ => "https://as.example.org/x",
    };
    let rows = rows("Options of liboauth2");
    assert!(rows.len() >= 40, "{}", rows.len());
    for row in rows {
        let (option, kind, here) = (&row[0], &row[1], &row[2]);
        let more = if option.starts_with("mtls.policy") { "type=mtls&" } else { "" };
        let verdict = in_place(&format!("OAuth2TokenVerify {kind} {} {more}{option}", value(kind)));
        assert_eq!(verdict.code, Some(0), "{option} {verdict:?}");
        let warned =
            complaints(&verdict).iter().any(|line| line.contains(option.split('=').next().expect("a name")));
        assert_eq!(warned, here.contains("warning"), "{option} {here} {verdict:?}");
        let without_effect = complaints(&verdict).iter().any(|line| line.contains("has no effect"));
        assert_eq!(without_effect, here.starts_with("no effect"), "{option} {here} {verdict:?}");
    }
}
