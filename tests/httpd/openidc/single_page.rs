//! A single-page application as a browser runs it, over HTTP/2: it asks the session-info hook who is there, sends the user to
//! log in, and then fetches from its API with the cookie. Seen by the independent client.

use serde_json::{Value, json};

use super::{APPLICATION, MISMATCH, log_in, provider, relying_party};
use crate::common::exchange::Answer;
use crate::common::{Httpd, Independent};

const SESSION_INFO: &str = "/callback?info=json";
const API: &str = "/protected/api.cgi";

/// A browser in which somebody has a key, or none.
struct Browser<'a> {
    client: &'a mut Independent,
    server: &'a Httpd,
    tls: &'a str,
    key: Option<&'a str>,
}

impl Browser<'_> {
    /// What a page's `fetch(path, {credentials: "include"})` sends, for all paths at once on a new connection.
    fn fetch(&mut self, paths: &[&str], cookies: &str) -> Vec<Answer> {
        let how = json!([["accept", "*/*"], ["sec-fetch-mode", "cors"], ["sec-fetch-dest", "empty"]]);
        self.send(paths, cookies, &how)
    }

    /// What `location = path` sends.
    fn navigate(&mut self, path: &str, cookies: &str) -> Answer {
        let how =
            json!([["accept", "text/html"], ["sec-fetch-mode", "navigate"], ["sec-fetch-dest", "document"]]);
        self.send(&[path], cookies, &how).remove(0)
    }

    fn send(&mut self, paths: &[&str], cookies: &str, how: &Value) -> Vec<Answer> {
        let offer = self.key.map(|_| "01000102");
        let options = json!({"tls": self.tls, "alpn": "h2", "offer": offer});
        self.client.connect("browser", self.server.tls(), &options).done();
        let (name, value) = cookies.split_once(": ").expect("a line");
        let mut headers = how.as_array().expect("pairs").clone();
        headers.push(json!([name, value]));
        if let Some(key) = self.key {
            let message = self.client.message("browser", &json!([{"key": key}]));
            headers.push(json!(["sec-token-binding", message]));
        }
        let requests: Vec<Value> =
            paths.iter().map(|path| json!({"path": path, "headers": headers})).collect();
        self.client.streams("browser", &json!(requests))
    }
}

#[test]
fn a_single_page_application_works_for_its_user_and_for_nobody_with_her_cookie() {
    let provider = provider();
    let server = relying_party(&provider)
        .load(&["http2"])
        .config("Protocols h2 http/1.1")
        .file("app/index.html", "<script>fetch('/callback?info=json')</script>")
        .file("protected/api.cgi", APPLICATION)
        .expect_log(MISMATCH)
        .start();
    let mut client = Independent::start();
    for key in ["alice", "mallory"] {
        client.key(key, "ecdsap256");
    }
    let client = &mut client;
    for tls in ["1.2", "1.3"] {
        let mut alice = Browser { client, server: &server, tls, key: Some("alice") };
        let nothing = "Cookie: none=yet";
        assert_eq!(alice.navigate("/app/index.html", nothing).status, 200);
        for answer in alice.fetch(&[SESSION_INFO, API], nothing) {
            assert_eq!(answer.status, 401, "{tls} {answer:?}");
            // A login that no script can finish is not begun.
            assert_eq!(answer.header("Set-Cookie"), None, "{answer:?}");
        }
        let session = log_in(&provider, |path, cookies| alice.navigate(path, cookies));
        let token = shows_alice(&alice.fetch(&[SESSION_INFO, API], &session));

        // A script that has run in the page has sent the cookie elsewhere.
        for key in [Some("mallory"), None] {
            let mut thief = Browser { client: alice.client, server: &server, tls, key };
            for answer in thief.fetch(&[SESSION_INFO, API, SESSION_INFO], &session) {
                assert_eq!(answer.status, 401, "{tls} {key:?} {answer:?}");
                assert!(!answer.body.contains("alice") && !answer.body.contains(&token), "{answer:?}");
            }
            assert_eq!(thief.navigate(API, &session).status, 302, "{tls} {key:?}");
            alice = Browser { client: thief.client, server: &server, tls, key: Some("alice") };
        }
        assert_eq!(shows_alice(&alice.fetch(&[SESSION_INFO, API], &session)), token);
    }
    let seen = server.access_log();
    assert!(seen.lines().all(|line| line.contains("HTTP/2.0")), "{seen}");
}

/// The session information and the API are those of alice; her access token.
fn shows_alice(answers: &[Answer]) -> String {
    let [info, api] = answers else { panic!("two answers, not {answers:?}") };
    assert_eq!((info.status, api.status), (200, 200), "{answers:?}");
    assert!(api.variable("REMOTE_USER").is_some_and(|user| user.starts_with("alice@")), "{api:?}");
    let info: Value = serde_json::from_str(&info.body).expect("JSON");
    assert_eq!(info["id_token"]["sub"], "alice", "{info}");
    assert_eq!(info["userinfo"]["email"], "alice@as.test", "{info}");
    info["access_token"].as_str().expect("a token").to_owned()
}
