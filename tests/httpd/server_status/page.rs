//! The page itself, restarts, and servers where something is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{counters, moved, names, page, watch, watched};
use crate::common::exchange::get_plain;
use crate::common::process::poll;
use crate::common::{Bound, Httpd, ModulePosition, Mpm, keys, tbh};
use crate::configuration::read;
use crate::panics;

/// One verified request on a connection of its own.
fn bound_request(server: &Httpd) {
    assert_eq!(Bound::open(server).get("/hello.txt", &[]).status, 200);
}

/// Our part of the page: other modules' parts begin with a line as ours does.
fn section(page: &str) -> &str {
    let start = page.find("<h1>Token Binding and access tokens</h1>").expect("our section");
    page[start..].split("<hr").next().unwrap_or_default()
}

#[test]
fn people_get_tables_and_programs_lines() {
    let server = watched().start();
    bound_request(&server);
    let tables = page(&server, "");
    assert!(tables.contains("<h1>Token Binding and access tokens</h1>"), "{tables}");
    assert!(tables.contains("<tr><td>verified</td><td align=\"right\">1</td></tr>"), "{tables}");
    assert!(
        tables.contains("<tr><td>ecdsap256</td><td align=\"right\">0</td><td align=\"right\">1</td></tr>")
    );
    assert!(tables.contains("<tr><td>refused: invalid-signature</td><td align=\"right\">0</td></tr>"));
    assert!(!tables.contains("keys"), "no verifier, no column: {tables}");
    let list = page(&server, "?notable");
    assert!(list.contains("<dt>TokenBindingVerified: 1</dt>"), "{list}");
    assert!(!section(&list).contains("<table"), "{list}");
    let lines = page(&server, "?auto");
    assert!(lines.contains("\nTokenBindingVerified: 1\n"), "{lines}");
    let ours: Vec<&str> = lines.lines().filter(|line| line.starts_with("TokenBinding")).collect();
    assert_eq!(ours.len(), 8 + 4 + 11, "{lines}");
    assert!(!lines.contains('<') && !lines.contains("OAuth2"), "{lines}");
    // What is closed on the page is what was opened.
    for tag in ["table", "tr", "td", "th", "dl", "dt", "h1"] {
        for form in [&tables, &list] {
            let ours = section(form);
            let opened =
                ours.matches(&format!("<{tag}>")).count() + ours.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, ours.matches(&format!("</{tag}>")).count(), "{tag}\n{ours}");
        }
    }
}

#[test]
fn it_does_not_depend_on_extended_status_or_the_order_of_modules() {
    for position in [ModulePosition::BeforeSsl, ModulePosition::AfterSsl] {
        let server = watched().position(position).config("ExtendedStatus Off").start();
        let change = moved(&server, || bound_request(&server));
        assert_eq!(change, "TokenBindingConnectionsTLS13Ecdsap256 1, TokenBindingVerified 1", "{position:?}");
    }
    // mod_status before this module: `load` is for what comes after it.
    let status = "LoadModule status_module /usr/lib/apache2/modules/mod_status.so";
    let server = Httpd::builder()
        .config(status)
        .config("<Location /server-status>\nSetHandler server-status\n</Location>");
    let server = server.start();
    assert!(counters(&server).contains_key("TokenBindingVerified"));
}

#[test]
fn without_mod_status_there_is_no_page_and_no_complaint() {
    let server = Httpd::builder().start();
    bound_request(&server);
    assert_eq!(get_plain(server.plain(), "localhost", "/server-status?auto", &[]).status, 404);
}

#[test]
fn a_graceful_restart_goes_on_counting_and_a_hard_one_begins_anew() {
    for mpm in Mpm::ALL {
        let builder = watched().mpm(mpm).children(2).allow_log("AH01243").allow_log("AH01238");
        let mut server = builder.start();
        bound_request(&server);
        for expected in [2, 3] {
            server.graceful();
            bound_request(&server);
            assert_eq!(counters(&server)["TokenBindingVerified"], expected, "{mpm:?}");
        }
        server.hard_restart();
        assert_eq!(counters(&server)["TokenBindingVerified"], 0, "{mpm:?}");
        bound_request(&server);
        assert_eq!(counters(&server)["TokenBindingVerified"], 1, "{mpm:?}");
    }
}

#[test]
fn a_connection_from_before_a_graceful_restart_still_counts() {
    let mut server = watched().start();
    let mut client = Bound::open(&server);
    assert_eq!(client.get("/hello.txt", &[]).status, 200);
    let slow = client.message();
    server.graceful();
    // An old child closes its idle connections; where it has not yet, its counters are the new ones' too.
    let request = format!("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {slow}\r\n\r\n");
    let served = client.exchange(&request).is_ok_and(|answer| answer.status == 200);
    let counted = counters(&server)["TokenBindingRemembered"];
    assert_eq!(counted, u64::from(served));
}

#[test]
fn without_shared_memory_nothing_is_counted_and_everything_works() {
    let server = watch(Httpd::builder())
        .module(panics::module())
        .environment("INJECT_FAILURE", "shared_memory")
        .expect_log("counters: no shared memory to count in")
        .expect_log("waiting room: no shared memory")
        .start();
    bound_request(&server);
    assert_eq!(Bound::open(&server).unbound("/hello.txt", &[]).status, 400);
    assert!(counters(&server).is_empty());
    assert!(!page(&server, "").contains("Token Binding and access tokens"));
}

/// The guide's section about all this.
fn guide() -> String {
    let guide = read("docs/guide.md");
    let (_, section) = guide.split_once("\n## Watching it\n").expect("the section");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// Its examples of configuration, with what a test has in place of Debian's folder.
fn examples() -> Vec<String> {
    let guide = guide();
    let blocks = guide.split("```apache\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| block.replace("${APACHE_LOG_DIR}", "{root}")).collect()
}

#[test]
fn the_guides_examples_do_what_they_say() {
    let [page, text, json] = examples().try_into().expect("three examples");
    let server =
        Httpd::builder().load(&["status", "authz_host"]).config(&page).config(&text).config(&json).start();
    bound_request(&server);
    assert!(counters(&server).contains_key("TokenBindingVerified"));
    let logged = || {
        let line =
            |file: &str| server.file(file).lines().find(|line| line.contains("verified")).map(str::to_owned);
        line("bound.log").zip(line("bound.json"))
    };
    let (text, json) = poll(Duration::from_secs(10), logged).expect("a line for the request in each log");
    assert!(text.contains(" 200 ") && text.ends_with(" tb=verified params=ecdsap256"), "{text}");
    let object: Value = serde_json::from_str(&json).expect("an object");
    assert_eq!(object["token_binding"], "verified", "{json}");
    assert_eq!(object["key"], tbh(&keys().a), "{json}");
    assert_eq!((&object["status"], &object["certificate"]), (&200.into(), &"-".into()), "{json}");
}

#[test]
fn the_guide_lists_exactly_the_counters_that_there_are() {
    let server = watch(Httpd::builder())
        .file("keys.json", "{\"keys\": []}")
        .allow_log("authorization server")
        .config(
            "<Location /all>\nAuthType oauth2\nAuthName api\n\
             OAuth2TokenVerify hex 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
             OAuth2TokenVerify jwks_uri file://{docroot}/keys.json\n\
             OAuth2TokenVerify eckey_uri file://{docroot}/key.pem\n\
             OAuth2TokenVerify aws_alb arn:aws:elasticloadbalancing:eu:1:loadbalancer/app/x alb_base_url=http://127.0.0.1:1\n\
             OAuth2TokenVerify metadata file://{docroot}/metadata.json\n\
             OAuth2TokenVerify introspect http://127.0.0.1:1/\n\
             Require valid-user\n</Location>",
        )
        .load(&["authz_user"])
        .start();
    let section = guide();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first_cells = rows.filter_map(|row| row.split('|').nth(1));
    let documented: BTreeSet<String> = first_cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| name.starts_with("TokenBinding") || name.starts_with("OAuth2"))
        .map(str::to_owned)
        .collect();
    let names = names(&server);
    let missing: Vec<_> = names.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&names).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not in the guide: {missing:?}; only in the guide: {gone:?}"
    );
}
