//! Nobody else says what a token says: headers that only claims may become are removed everywhere.

use serde_json::json;

use super::tokens::{now, token};
use super::{bearer, place, send, server};
use crate::common::exchange::{get_plain, get_tls};
use crate::common::{Backend, Builder, FastCgi, Independent, Vhost};

/// Whatever is one of them to CGI.
const SPELLINGS: [&str; 12] = [
    "OAUTH2_CLAIM_sub",
    "OAUTH2-CLAIM-sub",
    "oauth2_claim_role",
    "Oauth2-Claim_Anything",
    "OAUTH2.CLAIM.sub",
    "OAUTH2_CLAIM_",
    "P_sub",
    "p-role",
    "X-Remote-User",
    "x-remote-user",
    "X_Remote_User",
    "X.REMOTE.USER",
];

const VERIFY: &str = "OAuth2TokenVerify jwk {one}";

/// A site of which one corner passes claims, with a backend behind all of it.
fn site(backend: &Backend) -> Builder {
    let hosts = "ProxyPass / {backend}/";
    server(&[])
        .load(&["proxy", "proxy_http", "http2"])
        .value("backend", format!("http://127.0.0.1:{}", backend.port()))
        .config("Protocols h2 http/1.1")
        .config(&place("default", VERIFY))
        .config(&place("prefix", &format!("{VERIFY}\nOAuth2TargetPass prefix=P_")))
        .config(&place("user", &format!("{VERIFY}\nOAuth2TargetPass authn_header=X-Remote-User")))
        .config(&place("quiet", &format!("{VERIFY}\nOAuth2TargetPass headers=off&envvars=off")))
        .tls_config(hosts)
        .plain_config(hosts)
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off").config(hosts))
        .vhost(Vhost::plain("other.test").config(hosts))
}

fn spoofed() -> Vec<String> {
    let mut fields: Vec<String> = SPELLINGS.iter().map(|name| format!("{name}: SPOOF")).collect();
    fields.push("X-Free: yes".to_owned());
    fields
}

#[test]
fn clients_cannot_say_what_a_token_says() {
    let backend = Backend::http();
    let server = site(&backend).start();
    let authorization = bearer(&token(json!({})));
    let mut fields = spoofed();
    fields.push(authorization);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    for path in ["/", "/open/x", "/default/x", "/prefix/x", "/user/x", "/quiet/x"] {
        for (host, answer) in [
            ("localhost", get_tls(server.tls(), "localhost", path, &fields)),
            ("off.test", get_tls(server.tls(), "off.test", path, &fields)),
            ("plain", get_plain(server.plain(), "localhost", path, &fields)),
            ("other.test", get_plain(server.plain(), "other.test", path, &fields)),
        ] {
            assert_eq!(answer.status, 200, "{host} {path} {answer:?}");
            assert!(!answer.body.contains("SPOOF"), "{host} {path} {}", answer.body);
            assert!(answer.body.contains("X-Free: yes"), "{}", answer.body);
            let told = answer.body.to_ascii_lowercase().contains("sub: joe");
            assert_eq!(told, !["/", "/open/x", "/quiet/x"].contains(&path), "{host} {path} {}", answer.body);
        }
    }
    let user = get_tls(server.tls(), "localhost", "/user/x", &fields).body;
    assert_eq!(
        user.lines().filter(|line| line.to_ascii_lowercase().contains("remote")).collect::<Vec<_>>(),
        ["X-Remote-User: joe"]
    );
}

#[test]
fn nor_over_http2() {
    let backend = Backend::http();
    let server = site(&backend).start();
    let mut client = Independent::start();
    client.connect("one", server.tls(), &json!({"alpn": "h2"})).done();
    let mut headers: Vec<[String; 2]> =
        SPELLINGS.iter().map(|name| [name.to_ascii_lowercase(), "SPOOF".to_owned()]).collect();
    headers.push(["authorization".into(), format!("Bearer {}", token(json!({})))]);
    let trailers: Vec<[String; 2]> = headers.iter().take(SPELLINGS.len()).cloned().collect();
    for path in ["/open/x", "/default/x", "/user/x"] {
        let plain = json!({"path": path, "headers": headers});
        let with_trailers = json!({"path": path, "headers": headers, "body": "hello", "trailers": trailers});
        for answer in client.streams("one", &json!([plain, with_trailers])) {
            assert_eq!(answer.status, 200);
            assert!(!answer.body.contains("SPOOF"), "{path} {}", answer.body);
        }
    }
}

#[test]
fn nor_in_trailers() {
    let trailers: String = SPELLINGS.iter().map(|name| format!("{name}: SPOOF\r\n")).collect();
    for merge in ["On", "Off"] {
        let (backend, application) = (Backend::http(), FastCgi::start());
        let server = site(&backend)
            .load(&["proxy_fcgi"])
            .config(&format!("MergeTrailers {merge}"))
            .value("fcgi", application.port())
            .config(&place(
                "fcgi",
                &format!("{VERIFY}\nOAuth2TargetPass authn_header=X-Remote-User\nProxyPass fcgi://127.0.0.1:{{fcgi}}/"),
            ))
            .start();
        let authorization = bearer(&token(json!({"role": "guest"})));
        for path in ["/open/x", "/default/x", "/user/x", "/fcgi/x"] {
            let answer = send(
                &server,
                format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{authorization}\r\n\r\n\
                     5\r\nhello\r\n0\r\n{trailers}X-Free: yes\r\n\r\n"
                ),
            );
            assert_eq!(answer.status, 200, "{path} {answer:?}");
            assert!(!answer.body.contains("SPOOF"), "{merge} {path} {}", answer.body);
        }
        let variables = application.last();
        assert!(!variables.values().any(|value| value.contains("SPOOF")), "{merge} {variables:?}");
        for (name, expected) in [("OAUTH2_CLAIM_role", "guest"), ("HTTP_X_REMOTE_USER", "joe")] {
            assert_eq!(variables.get(name).map(String::as_str), Some(expected), "{merge} {name}");
        }
        // Whether trailers are merged at all shows in the one that anybody may send.
        assert_eq!(variables.contains_key("HTTP_X_FREE"), merge == "On", "{variables:?}");
    }
}

#[test]
fn nor_in_trailers_of_a_body_that_was_read_for_its_token() {
    let backend = Backend::http();
    let server = site(&backend)
        .config("MergeTrailers On")
        .config(&place(
            "form",
            &format!("{VERIFY}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn post strip=on"),
        ))
        .start();
    let trailers: String = SPELLINGS.iter().map(|name| format!("{name}: SPOOF\r\n")).collect();
    let form = format!("a=1&access_token={}", token(json!({})));
    let chunks = format!("{:x}\r\n{form}\r\n0\r\n{trailers}X-Free: yes\r\n\r\n", form.len());
    let answer = send(
        &server,
        format!(
            "POST /form/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{chunks}"
        ),
    );
    let head = answer.body;
    assert!(answer.status == 200 && !head.contains("SPOOF"), "{head}");
    assert!(head.contains("X-Free: yes") && head.contains("OAUTH2_CLAIM_sub: joe"), "{head}");
    assert!(head.contains("Content-Length: 3\r\n") && !head.contains("Transfer-Encoding"), "{head}");
}

#[test]
fn a_refused_request_tells_nothing_either() {
    let server = server(&[
        ("api", &format!("{VERIFY}\nErrorDocument 401 /cgi/env.cgi")),
        ("other", &format!("{VERIFY}\nOAuth2TargetPass prefix=P_&authn_header=X-Remote-User")),
    ])
    .start();
    let expired = bearer(&token(json!({"exp": now() - 5})));
    let mut fields = spoofed();
    fields.push(expired);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let answer = get_plain(server.plain(), "localhost", "/api/env", &fields);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("REDIRECT_STATUS=401"), "{answer:?}");
    for nothing in ["SPOOF", "joe", "OAUTH2_CLAIM"] {
        assert!(!answer.body.contains(nothing), "{nothing} {answer:?}");
    }
}
