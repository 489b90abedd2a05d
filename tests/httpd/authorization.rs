//! `Require token-binding`: access by proof alone, or together with what else there is.

use crate::common::{Bound, Builder, Httpd, Vhost, connector, keys};

/// Places with requirements; a client without Token Binding gets to their door.
fn places(lines: &[(&str, &str)]) -> Builder {
    let mut builder = Httpd::builder().allow_log("AH01630*client denied").config("TokenBindingMissing Allow");
    for (name, requirement) in lines {
        builder = builder
            .file(&format!("{name}/page.txt"), "inside\n")
            .config(&format!("<Location /{name}>\n{requirement}\n</Location>"));
    }
    builder
}

/// How a client without a message, with one, and with a referred binding in it fares.
fn statuses(server: &Httpd, name: &str) -> [u16; 3] {
    let path = format!("/{name}/page.txt");
    [
        Bound::open(server).unbound(&path, &[]).status,
        Bound::open(server).get(&path, &[]).status,
        Bound::open(server).referring(&keys().elsewhere).get(&path, &[]).status,
    ]
}

#[test]
fn a_place_can_require_a_binding() {
    let lines = [
        ("plain", "Require token-binding"),
        ("provided", "Require token-binding provided"),
        ("referred", "Require token-binding Referred"),
        ("not", "<RequireAll>\nRequire all granted\nRequire not token-binding\n</RequireAll>"),
        ("any", "<RequireAny>\nRequire token-binding\nRequire env LET_IN\n</RequireAny>"),
        ("all", "<RequireAll>\nRequire token-binding referred\nRequire local\n</RequireAll>"),
        ("nobody", "<RequireAll>\nRequire token-binding\nRequire all denied\n</RequireAll>"),
        (
            "none",
            "<RequireAll>\nRequire all granted\n<RequireNone>\nRequire token-binding referred\n</RequireNone>\n</RequireAll>",
        ),
    ];
    let server = places(&lines).load(&["authz_host"]).start();
    for (name, expected) in [
        ("plain", [403, 200, 200]),
        ("provided", [403, 200, 200]),
        ("referred", [403, 403, 200]),
        ("not", [200, 403, 403]),
        ("any", [403, 200, 200]),
        ("all", [403, 403, 200]),
        ("nobody", [403, 403, 403]),
        ("none", [200, 200, 403]),
    ] {
        assert_eq!(statuses(&server, name), expected, "{name}");
    }
}

#[test]
fn only_a_verified_message_of_this_connection_opens() {
    let server = places(&[("place", "Require token-binding")])
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .start();
    let stolen = Bound::open(&server).message();
    assert_eq!(Bound::open(&server).replay("/place/page.txt", &stolen, &[]).status, 400);
    let not_offered = connector().offer(tokbind::tls::Offer::None).build().unwrap();
    let claims = ["Sec-Provided-Token-Binding-ID: AgBBQO", "Token-Binding-Status: verified"];
    let mut unbound = Bound::connect(&not_offered, server.tls(), "localhost");
    assert_eq!(unbound.get("/place/page.txt", &claims).status, 403);
    let mut off = Bound::connect(&connector().insecure().build().unwrap(), server.tls(), "off.test");
    assert_eq!(off.get("/place/page.txt", &claims).status, 403);
    let plain = crate::common::exchange::get_plain(server.plain(), "localhost", "/place/page.txt", &claims);
    assert_eq!(plain.status, 403);
}

#[test]
fn subrequests_and_internal_redirects_are_authorized_by_their_request() {
    let server = places(&[("place", "Require token-binding")])
        .load(&["include", "rewrite"])
        .file("page.shtml", "before|<!--#include virtual=\"/place/page.txt\" -->|after")
        .file("redirect.cgi", "#!/bin/sh\nprintf 'Location: /place/page.txt\\r\\n\\r\\n'\n")
        .tls_config("RewriteEngine On\nRewriteRule ^/rewritten$ /place/page.txt [PT]")
        .allow_log("unable to include")
        .start();
    let mut client = Bound::open(&server);
    assert!(client.get("/page.shtml", &[]).body.contains("before|inside\n|after"));
    assert!(!Bound::open(&server).unbound("/page.shtml", &[]).body.contains("inside"));
    for path in ["/redirect.cgi", "/rewritten"] {
        assert_eq!(client.get(path, &[]).status, 200, "{path}");
        assert_eq!(Bound::open(&server).unbound(path, &[]).status, 403, "{path}");
    }
}

#[test]
fn nested_sections_require_on_their_own() {
    let server = places(&[
        ("outer", "Require token-binding"),
        ("outer/inner", "Require token-binding referred"),
        ("outer/open", "Require all granted"),
    ])
    .file("outer/inner/page.txt", "inside\n")
    .start();
    for (name, expected) in
        [("outer", [403, 200, 200]), ("outer/inner", [403, 403, 200]), ("outer/open", [200, 200, 200])]
    {
        assert_eq!(statuses(&server, name), expected, "{name}");
    }
}

#[test]
fn the_answer_is_403_also_beside_user_requirements() {
    let server = places(&[(
        "place",
        "AuthType Basic\nAuthName test\nAuthBasicProvider file\nAuthUserFile {docroot}/../users\n\
         <RequireAll>\nRequire token-binding\nRequire valid-user\n</RequireAll>",
    )])
    .load(&["authn_file", "auth_basic", "authz_user"])
    // printf 'user:' and openssl passwd -apr1 -salt saltsalt secret
    .file("../users", &format!("user:{}\n", password_hash("secret")))
    .start();
    let authorization = "Authorization: Basic dXNlcjpzZWNyZXQ=";
    assert_eq!(Bound::open(&server).get("/place/page.txt", &[authorization]).status, 200);
    assert_eq!(Bound::open(&server).unbound("/place/page.txt", &[authorization]).status, 403);
    assert_eq!(Bound::open(&server).get("/place/page.txt", &[]).status, 401, "no password");
}

fn password_hash(password: &str) -> String {
    let output = std::process::Command::new("openssl")
        .args(["passwd", "-apr1", "-salt", "saltsalt", password])
        .output()
        .expect("openssl runs");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_senseless_requirement_is_refused_at_start() {
    for words in ["bound", "provided referred", "x y z"] {
        let verdict = places(&[("place", &format!("Require token-binding {words}"))]).configtest();
        assert_eq!(verdict.code, Some(1), "{words} {verdict:?}");
        assert!(
            verdict.output.contains("Require token-binding takes provided (the default) or referred"),
            "{verdict:?}"
        );
    }
}
