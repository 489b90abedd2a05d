//! docs/reference.md: the module's own table, conf/ and what applications, backends and logs really get say the same.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use token_binding::reserved::{Field, classify};
use token_binding::{MessageBuilder, TokenBindingType};

use super::configuration::{Place, directives, read};
use super::oauth2_docs::{SECRET, bound_to, token};
use crate::common::configuration::Verdict;
use crate::common::log::matches;
use crate::common::process::poll;
use crate::common::{Backend, Bound, Builder, Httpd, bound, connector, keys, pki};

/// A section of the page, without its heading.
fn section(heading: &str) -> String {
    let page = read("docs/reference.md");
    let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    ["\n## ", "\n### "].iter().fold(rest, |rest, end| rest.split(end).next().unwrap_or(rest)).to_owned()
}

/// The cells of a table's rows.
fn rows(section: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.replace("\\|", "\u{1}");
        Some(cells.split(" | ").map(|cell| cell.replace('\u{1}', "|")).collect::<Vec<_>>())
    };
    section.lines().filter_map(row).collect()
}

/// What stands between backticks, the first of it.
fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("{cell}"))
}

/// The values of a directive's table under this name.
fn told<'a>(rows: &'a [Vec<String>], name: &str) -> Vec<&'a str> {
    rows.iter().filter(|row| row[0] == name).map(|row| row[1].as_str()).collect()
}

fn configtest(line: &str, place: Place) -> Verdict {
    let lines = match place {
        Place::Server => line.to_owned(),
        Place::Directory => format!("<Location /x>\n{line}\n</Location>"),
    };
    Httpd::builder().config(&lines).configtest()
}

#[test]
fn each_directive_is_explained_as_it_is() {
    let page = read("docs/reference.md");
    let conf = read("conf/token_binding.conf") + &read("conf/oauth2.conf");
    let (_, list) = page.split_once("## Directives").expect("the list");
    let list = list.split("\n## ").next().expect("its end");
    let explained: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let table = directives();
    assert_eq!(explained, table.keys().map(String::as_str).collect());
    for (name, place) in table {
        let rows = rows(&section(&format!("### {name}")));
        let one = |what: &str| {
            let [value] = told(&rows, what)[..] else { panic!("{name}: {what} {rows:?}") };
            value
        };
        assert!(code(one("syntax")).starts_with(&format!("{name} ")), "{name}");
        let context = match place {
            Place::Server => "server, virtual host",
            Place::Directory => "server, virtual host, directory",
        };
        assert_eq!(one("context"), context, "{name}");
        assert!(!one("merge").is_empty(), "{name}");
        // The line of the reference configuration that says what is so anyway.
        let default = one("default");
        if default != "none" {
            let value = code(default);
            assert!(
                conf.lines().any(|line| line == format!("#{name} {value}")),
                "{name}: conf/ has no default {value}"
            );
            assert_eq!(configtest(&format!("{name} {value}"), place).code, Some(0), "{name} {value}");
        }
        let examples = told(&rows, "example");
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let verdict = configtest(code(example), place);
            assert!(code(example).starts_with(&name) && verdict.code == Some(0), "{example} {verdict:?}");
        }
        let errors = told(&rows, "error");
        assert!(!errors.is_empty(), "{name}");
        for error in errors {
            let (line, says) = (code(error), error.split('`').nth(3).expect("what it says"));
            let verdict = configtest(line, place);
            assert_eq!(verdict.code, Some(1), "{error} {verdict:?}");
            assert!(verdict.output.lines().any(|said| matches(said, says)), "{error} {verdict:?}");
        }
    }
}

#[test]
fn each_form_of_require_is_accepted() {
    for heading in ["## Authentication", "## Require"] {
        for row in rows(&section(heading)) {
            for line in row.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
                if !["AuthType ", "AuthName ", "Require "].iter().any(|name| line.starts_with(name)) {
                    continue;
                }
                let verdict = Httpd::builder()
                    .load(&["authz_user"])
                    .config(&format!("<Location /x>\n{line}\n</Location>"))
                    .configtest();
                assert_eq!(verdict.code, Some(0), "{line} {verdict:?}");
            }
        }
    }
}

/// A site where everything is on: an application at /cgi/env.cgi, a backend at /backend/, access tokens at both.
fn everything(backend: &Backend) -> Builder {
    Httpd::builder()
        .load(&["authz_user", "proxy", "proxy_http"])
        .value("backend", backend.port())
        .config("ProxyPass /backend/ http://127.0.0.1:{backend}/")
        .config(&format!(
            "<Location />\nAuthType oauth2\nOAuth2TokenVerify plain {SECRET} type=mtls\nClientCertForward Chain\n\
             TokenBindingOIDCSession On\nTokenBindingPassVar provided referred other context\nRequire valid-user\n</Location>\n\
             <Location /cgi/refused/>\nRequire oauth2_claim scope:none\nErrorDocument 403 /cgi/env.cgi\n</Location>"
        ))
        .tls_config("SSLVerifyClient optional_no_ca")
}

/// A client with a certificate and all kinds of bindings, and its fields for one request.
fn client(server: &Httpd) -> (Bound, String, String) {
    let connector = connector().identity(bound::identity(&pki().client_a)).build().expect("a connector");
    let client = Bound::connect(&connector, server.tls(), "localhost");
    let ekm = client.stream().ekm().expect("a finished handshake");
    let mut message = MessageBuilder::new();
    for (kind, key) in [
        (TokenBindingType::Provided, &keys().a),
        (TokenBindingType::Referred, &keys().elsewhere),
        (TokenBindingType::Other(7), &keys().b),
    ] {
        tokbind::binding::push(&mut message, kind, key, &ekm).expect("a signature");
    }
    let mut claims = bound_to(&pki().client_a);
    claims["client_id"] = json!("shop");
    let message = message.to_field_value().expect("a message");
    (client, message, format!("Authorization: Bearer {}", token(claims)))
}

#[test]
fn applications_get_the_variables_of_the_list_and_no_others() {
    let backend = Backend::http();
    let server = everything(&backend).allow_log("AH01631").start();
    let (mut client, message, authorization) = client(&server);
    let rows = rows(&section("## Variables"));
    let listed: BTreeSet<String> = rows
        .iter()
        .filter(|row| row[0].starts_with('`'))
        // As CGI writes them.
        .map(|row| code(&row[0]).replace('-', "_"))
        .collect();
    assert!(listed.len() >= 15, "{listed:?}");
    let mut seen = BTreeSet::new();
    for path in ["/cgi/env.cgi", "/cgi/refused/x"] {
        let answer = client.replay(path, &message, &[&authorization]);
        seen.extend(answer.body.lines().filter_map(|line| {
            let (name, _) = line.split_once('=')?;
            Some(name.trim_start_matches("REDIRECT_").to_owned())
        }));
    }
    assert!(listed.is_subset(&seen), "not seen: {:?}", listed.difference(&seen).collect::<Vec<_>>());
    let is_ours = |name: &&String| {
        ["Token_Binding", "Sec_", "TB_", "OIDC_", "OAUTH2_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let claim = |name: &&String| name.starts_with("OAUTH2_CLAIM_");
    let others: Vec<&String> =
        seen.iter().filter(is_ours).filter(|name| !listed.contains(*name) && !claim(name)).collect();
    assert!(others.is_empty(), "not in the list: {others:?}");
}

#[test]
fn backends_get_the_headers_of_the_list_and_no_others() {
    let backend = Backend::http();
    let server = everything(&backend).start();
    let (mut client, message, authorization) = client(&server);
    let head = client
        .replay("/backend/x", &message, &[&authorization, "TB_SSL_CLIENT_CERT_FINGERPRINT: forged"])
        .body;
    let seen: BTreeSet<&str> =
        head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let mut listed = BTreeSet::new();
    for row in rows(&section("## Headers")) {
        let [name, reserved, when] = &row[..] else { continue };
        if !name.starts_with('`') {
            continue;
        }
        let name = code(name).to_owned();
        let expected = match reserved.as_str() {
            "yes" => Field::Reserved,
            "read, then removed" => Field::Message,
            _ => Field::Free,
        };
        assert_eq!(classify(name.as_bytes()), expected, "{name}");
        let arrives = !when.starts_with("never");
        assert!(seen.contains(name.as_str()) == arrives, "{name} {when} {head}");
        listed.insert(name);
    }
    let is_ours = |name: &&&str| classify(name.as_bytes()) != Field::Free;
    assert!(seen.iter().filter(is_ours).all(|name| listed.contains(*name)), "{seen:?} {listed:?}");
    assert_eq!(listed.len(), 10, "{listed:?}");
}

#[test]
fn log_formats_write_what_they_say() {
    let formats: Vec<String> = rows(&section("## Log formats"))
        .iter()
        .filter(|row| row[0].starts_with('`'))
        .map(|row| code(&row[0]).to_owned())
        .collect();
    let page = section("## Log formats");
    let (_, example) = page.split_once("```apache\n").expect("an example");
    let example = example.split("\n```").next().expect("its end").replace("${APACHE_LOG_DIR}", "{root}");
    let backend = Backend::http();
    let server = everything(&backend)
        .config(&format!(
            "LogFormat \"{}\" all\nCustomLog {{root}}/all.log all\n{example}",
            formats.join("|")
        ))
        .start();
    let (mut good, message, authorization) = client(&server);
    assert_eq!(good.replay("/cgi/env.cgi?a=secret", &message, &[&authorization]).status, 200);
    let (mut bad, ..) = client(&server);
    assert_eq!(bad.replay("/cgi/env.cgi", &message, &[&authorization]).status, 400);
    let logged = || {
        (server.file("refused.log").lines().count() == 1 && server.file("bound.log").lines().count() == 2)
            .then_some(())
    };
    assert!(
        poll(Duration::from_secs(10), logged).is_some(),
        "{} {}",
        server.file("refused.log"),
        server.file("bound.log")
    );
    let log = server.file("all.log");
    let line = log.lines().next().expect("a line");
    let values: Vec<&str> = line.split('|').collect();
    assert_eq!(values.len(), formats.len(), "{log}");
    assert!(values.iter().all(|value| !value.is_empty() && *value != "-"), "{formats:?} {line}");
    assert!(values[0] == "verified" && values.contains(&"shop") && !log.contains("secret"), "{log}");
    assert!(server.file("refused.log").contains(" 400 ") && server.file("refused.log").contains("invalid"));
}
