//! `TokenBindingIncludeReferred`: in redirects of bound requests, and nowhere else (RFC 8473 §5.3).

use crate::common::exchange::Answer;
use crate::common::{Backend, Bound, Builder, Httpd, Vhost, connector};

fn asks(answer: &Answer) -> bool {
    let values: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Include-Referred-Token-Binding-ID"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert!(values.is_empty() || values == ["true"], "{answer:?}");
    !values.is_empty()
}

/// Redirects of every origin, and what is none.
fn redirects() -> Builder {
    Httpd::builder()
        .load(&["rewrite", "headers", "expires"])
        .config("Redirect 302 /alias https://op.test/\nRedirectPermanent /for-good https://op.test/\nRedirect gone /gone")
        .tls_config("RewriteEngine On\nRewriteRule ^/rewritten$ https://op.test/ [R=303,L]")
        .file("moved.cgi", "#!/bin/sh\nprintf 'Location: https://op.test/\\r\\n\\r\\n'\n")
        .file("status.cgi", "#!/bin/sh\nprintf 'Status: 307\\r\\nLocation: https://op.test/\\r\\n\\r\\n'\n")
        .file("folder/index.html", "inside\n")
}

const REDIRECTED: [(&str, u16); 6] = [
    ("/alias", 302),
    ("/for-good", 301),
    ("/rewritten", 303),
    ("/moved.cgi", 302),
    ("/status.cgi", 307),
    ("/folder", 301),
];

#[test]
fn redirects_of_bound_requests_ask_for_the_referred_binding() {
    let server = redirects().config("TokenBindingIncludeReferred On").start();
    let mut client = Bound::open(&server);
    for (path, status) in REDIRECTED {
        let answer = client.get(path, &[]);
        assert_eq!((answer.status, asks(&answer)), (status, true), "{path} {answer:?}");
    }
}

#[test]
fn other_responses_do_not() {
    let server = redirects()
        .config("TokenBindingIncludeReferred On")
        .expect_log("AH01630*client denied")
        .config("<Location /denied>\nRequire all denied\n</Location>")
        .start();
    let mut client = Bound::open(&server);
    for (path, status) in
        [("/hello.txt", 200), ("/gone", 410), ("/missing", 404), ("/denied", 403), ("/cgi/redirect.cgi", 200)]
    {
        let answer = client.get(path, &[]);
        assert_eq!((answer.status, asks(&answer)), (status, false), "{path} {answer:?}");
    }
    let tag = client.get("/hello.txt", &[]).header("ETag").expect("a static file has one").to_owned();
    let answer = client.get("/hello.txt", &[&format!("If-None-Match: {tag}")]);
    assert_eq!((answer.status, asks(&answer)), (304, false), "no redirect: {answer:?}");
}

#[test]
fn redirects_of_unbound_requests_do_not() {
    let server = redirects()
        .config("TokenBindingIncludeReferred On\nTokenBindingMissing Allow")
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .start();
    let not_offered = connector().offer(tokbind::tls::Offer::None).build().unwrap();
    let mut clients = [
        Bound::open(&server),
        Bound::connect(&not_offered, server.tls(), "localhost"),
        Bound::connect(&connector().insecure().build().unwrap(), server.tls(), "off.test"),
    ];
    for client in &mut clients {
        for path in ["/alias", "/moved.cgi"] {
            let answer = client.unbound(path, &[]);
            assert_eq!((answer.status, asks(&answer)), (302, false), "{path} {answer:?}");
        }
    }
    // A message is worth nothing where it is not looked at.
    for client in clients.iter_mut().skip(1) {
        assert!(!asks(&client.get("/alias", &[])));
    }
}

#[test]
fn it_is_off_unless_switched_on_and_goes_by_section() {
    let server = redirects()
        .config(
            "<Location /alias>\nTokenBindingIncludeReferred On\n</Location>\n\
             <Location /alias/inner>\nTokenBindingIncludeReferred Off\n</Location>",
        )
        .start();
    let mut client = Bound::open(&server);
    for (path, expected) in
        [("/alias", true), ("/alias/inner", false), ("/moved.cgi", false), ("/rewritten", false)]
    {
        assert_eq!(asks(&client.get(path, &[])), expected, "{path}");
    }
}

#[test]
fn a_backends_redirect_asks_where_its_location_says() {
    let backend = Backend::http();
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .value("backend", backend.port())
        .config(
            "<Location /asks>\nTokenBindingIncludeReferred On\nProxyPass http://127.0.0.1:{backend}/redirect\n</Location>\n\
             <Location /silent>\nProxyPass http://127.0.0.1:{backend}/redirect\n</Location>\n\
             <Location /page>\nTokenBindingIncludeReferred On\nProxyPass http://127.0.0.1:{backend}/page\n</Location>",
        )
        .start();
    let mut client = Bound::open(&server);
    for (path, status, expected) in [("/asks", 302, true), ("/silent", 302, false), ("/page", 200, false)] {
        let answer = client.get(path, &[]);
        assert_eq!((answer.status, asks(&answer)), (status, expected), "{path} {answer:?}");
    }
}
