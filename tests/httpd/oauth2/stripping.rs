//! `strip=`: whoever is behind this server does not get the token, and gets everything else.

use std::time::Duration;

use openssl::ssl::SslVersion;
use serde_json::json;

use super::tokens::{keys, now, token};
use super::{bearer, connect, get, place, post, send, server};
use crate::common::exchange::Answer;
use crate::common::process::poll;
use crate::common::{Backend, Builder, Httpd};

/// One place for each source, with `strip=on`, before an application and before a backend.
fn site(backend: &Backend) -> Builder {
    let sources = [
        ("header", "header strip=on"),
        ("custom", "header name=X-Token&type=&strip=on"),
        ("query", "query strip=on"),
        ("post", "post strip=on"),
        ("cookie", "cookie strip=on"),
        ("basic", "basic strip=on"),
        ("environment", "environment name=TOKEN"),
    ];
    let quiet = "OAuth2TokenVerify jwk {one}\nOAuth2TokenVerify jwk {secret}\nOAuth2TargetPass headers=off&envvars=off";
    let mut builder = server(&[])
        .load(&["proxy", "proxy_http", "setenvif"])
        .value("backend", backend.port())
        .value("secret", keys().secret.quoted());
    for (name, source) in sources {
        builder = builder
            .config(&place(name, &format!("{quiet}\nCGIPassAuth On\nOAuth2AcceptTokenIn {source}")))
            .config(&format!("ProxyPass /{name}/raw http://127.0.0.1:{{backend}} nocanon"))
            .config(&format!("ProxyPass /{name}/backend http://127.0.0.1:{{backend}}"));
    }
    builder.config("SetEnvIf X-Env (.+) TOKEN=$1")
}

#[test]
fn neither_the_application_nor_the_backend_sees_the_token() {
    let backend = Backend::http();
    let server = site(&backend).start();
    let token = token(json!({}));
    let basic = openssl::base64::encode_block(format!("joe:{token}").as_bytes()).replace('\n', "");
    let rows = [
        ("header", "?x=1", bearer(&token), "x=1"),
        ("custom", "", format!("X-Token: {token}"), ""),
        ("query", &format!("?a=1&access_token={token}&b=%20&c"), "X-Free: yes".into(), "a=1&b=%20&c"),
        ("query", &format!("?access_token={token}"), "X-Free: yes".into(), ""),
        ("cookie", "", format!("Cookie: a=1; access_token={token}; b=\"2\""), ""),
        ("basic", "", format!("Authorization: Basic {basic}"), ""),
    ];
    for (name, query, field, left) in rows {
        let env = get(&server, None, &format!("/{name}/env{query}"), &[&field]);
        assert_eq!((env.status, env.variable("REMOTE_USER")), (200, Some("joe")), "{name} {env:?}");
        assert_eq!(env.variable("QUERY_STRING"), Some(left), "{name}");
        let head = get(&server, None, &format!("/{name}/backend/x{query}"), &[&field]);
        let raw = get(&server, None, &format!("/{name}/raw/x{query}"), &[&field]);
        assert_eq!((head.status, raw.status), (200, 200), "{name}");
        for (who, seen) in [("application", &env.body), ("backend", &head.body), ("raw backend", &raw.body)] {
            assert!(!seen.contains(&token) && !seen.contains(&basic), "{name}: the {who} sees {seen}");
        }
        assert!(
            head.body.starts_with(&format!("GET /x{}{left} ", if left.is_empty() { "" } else { "?" })),
            "{}",
            head.body
        );
        if name == "cookie" {
            assert_eq!(env.variable("HTTP_COOKIE"), Some("a=1; b=\"2\""));
        }
    }
    // Nor does whoever reads the log of requests, where query strings stand.
    let log = poll(Duration::from_secs(10), || {
        let log = server.access_log();
        (log.matches("GET /query/env").count() == 2).then_some(log)
    });
    let log = log.expect("requests are logged");
    assert!(!log.contains(&token) && log.contains("GET /query/env?a=1&b=%20&c HTTP/1.1"), "{log}");
    // A variable that SetEnvIf made of a header, which is not the module's to remove.
    let env = get(&server, None, "/environment/env", &[&format!("X-Env: {token}")]);
    assert_eq!(
        (env.status, env.variable("TOKEN"), env.variable("REDIRECT_TOKEN")),
        (200, None, None),
        "{env:?}"
    );
}

#[test]
fn a_query_within_the_path_stays_there() {
    let backend = Backend::http();
    let server = site(&backend).file("query/secret", "secret\n").start();
    // Short enough for the name of a file.
    let token = keys().secret.sign(&json!({"alg": "HS256"}), &json!({"sub": "joe", "exp": now() + 300}));
    // Taken out there too, it would be another path than the one that was authorized.
    let path = format!("secret%3Faccess_token={token}?access_token={token}");
    assert_eq!(get(&server, None, &format!("/query/{path}"), &[]).status, 404);
    assert_eq!(get(&server, None, &format!("/query/secret?access_token={token}"), &[]).status, 200);
    for place in ["backend", "raw"] {
        let head = get(&server, None, &format!("/query/{place}/{path}"), &[]).body;
        assert!(head.starts_with(&format!("GET /secret%3Faccess_token={token} HTTP/1.1")), "{head}");
    }
}

#[test]
fn without_strip_they_do() {
    let backend = Backend::http();
    let server = server(&[(
        "api",
        "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn query\nOAuth2AcceptTokenIn header",
    )])
    .load(&["proxy", "proxy_http"])
    .value("backend", backend.port())
    .config("ProxyPass /api/backend http://127.0.0.1:{backend}")
    .start();
    let token = token(json!({}));
    let head = get(&server, None, &format!("/api/backend/x?access_token={token}"), &[]).body;
    assert!(head.starts_with(&format!("GET /x?access_token={token} ")), "{head}");
    let head = get(&server, None, "/api/backend/x", &[&bearer(&token)]).body;
    assert!(head.contains(&bearer(&token)), "{head}");
}

/// What `input.cgi` and `env.cgi` got of a form.
fn application(server: &Httpd, form: &str) -> (Answer, Answer) {
    (send(server, post("/post/input", "", form)), send(server, post("/post/env", "", form)))
}

#[test]
fn a_form_arrives_without_the_token_and_otherwise_whole() {
    let backend = Backend::http();
    let server = site(&backend)
        .config(&place("kept", "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn post"))
        .start();
    let token = token(json!({}));
    let long = "x".repeat(60_000);
    for (form, left) in [
        (format!("access_token={token}"), String::new()),
        (format!("a=1&access_token={token}&b=%26+%3d&c"), "a=1&b=%26+%3d&c".to_owned()),
        (format!("access_token={token}&long={long}"), format!("long={long}")),
        (format!("long={long}&access%5ftoken={token}"), format!("long={long}")),
    ] {
        let (input, env) = application(&server, &form);
        assert_eq!((input.status, env.status), (200, 200), "{env:?}");
        assert!(input.body == left, "{} octets, not {}", input.body.len(), left.len());
        assert_eq!(env.variable("CONTENT_LENGTH"), Some(left.len().to_string().as_str()));
        // Not told to strip, the form is whole.
        let kept = send(&server, post("/kept/input", "", &form));
        assert!(kept.status == 200 && kept.body == form);
        // In chunks the same.
        let (first, second) = form.split_at(form.len() / 2);
        let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
        for (path, expected) in [("/post/input", &left), ("/kept/input", &form)] {
            let answer = send(
                &server,
                format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\n\r\n{chunks}"
                ),
            );
            assert!(answer.status == 200 && answer.body == *expected, "{path} {} octets", answer.body.len());
        }
        let head = send(&server, post("/post/backend/x", "", &form));
        assert_eq!(head.status, 200, "{head:?}");
        let length = format!("Content-Length: {}", left.len());
        assert!(
            head.body.contains(&length) || head.body.contains("Transfer-Encoding: chunked"),
            "{}",
            head.body
        );
    }
}

#[test]
fn connections_go_on_after_a_body_that_was_read() {
    let backend = Backend::http();
    let server = site(&backend).start();
    let good = post("/post/input", "", &format!("a=1&access_token={}", token(json!({}))));
    let bad = post("/post/input", "", "a=1&access_token=garbage");
    let mut client = connect(&server, None, SslVersion::TLS1_2);
    for _ in 0..3 {
        assert_eq!(client.exchange(&good).unwrap().body, "a=1");
        assert_eq!(client.exchange(&bad).unwrap().status, 401);
        assert_eq!(client.unbound("/hello.txt", &[]).body, "hello\n");
    }
}

#[test]
fn large_bodies_of_other_types_are_not_touched() {
    let server = server(&[(
        "api",
        "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn post strip=on",
    )])
    .config("AliasMatch \"^/[a-z]+/digest$\" \"{docroot}/cgi/digest.cgi\"")
    // httpd gives a script all of a large body before it reads what the script writes.
    .file("cgi/digest.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec sha256sum\n")
    .start();
    let token = token(json!({}));
    let body = "0123456789abcdef".repeat(256 * 1024);
    let head = format!(
        "POST /api/digest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n{}\r\nContent-Length: {}\r\n\r\n",
        bearer(&token),
        body.len()
    );
    let answer = send(&server, head.clone() + &body);
    let digest: String =
        openssl::sha::sha256(body.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!((answer.status, answer.body), (200, format!("{digest}  -\n")));
    // A form that large is not searched for a token.
    let form = head.replace("application/octet-stream", "application/x-www-form-urlencoded");
    assert_eq!(send(&server, form + &body).status, 400);
}
