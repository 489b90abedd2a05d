//! What applications, other modules and the backend get to see.

use serde_json::json;

use super::stage::base64url;
use super::{Row, row};

pub const ROWS: &[Row] = &[
    row("ErrorDocument", "surface", "404 verified provided=alice", |s| path(s, "/missing")),
    row("a CGI's local Location", "surface", "200 verified provided=alice", |s| path(s, "/cgi/redirect.cgi")),
    row("mod_rewrite in a directory", "surface", "200 verified provided=alice", |s| path(s, "/rewritten/go")),
    row("DirectoryIndex", "surface", "200 verified provided=alice", |s| path(s, "/index/")),
    row("a subrequest of mod_include", "surface", "200 verified provided=alice", |s| {
        path(s, "/include.shtml")
    }),
    row("an internal redirect without a binding", "surface", "200 not-negotiated", |s| {
        let connection = s.connect(json!({"offer": null}));
        let answer = s.get(&connection, "/cgi/redirect.cgi", &[]);
        s.outcome(&answer)
    }),
    row(
        "an internal redirect keeps the certificate",
        "surface",
        "200 verified provided=alice certificate=a",
        |s| {
            let mut options = s.certificate("client_a");
            options["sni"] = "certificate.test".into();
            let connection = s.connect(options);
            let value = s.alice(&connection);
            let head = format!(
                "GET /cgi/redirect.cgi HTTP/1.1\r\nHost: certificate.test\r\nSec-Token-Binding: {value}\r\n\r\n"
            );
            let answer = s.client.exchange(&connection, &head);
            s.outcome(&answer)
        },
    ),
    row("ErrorDocument for the refusal itself", "surface", "400 invalid", |s| {
        let connection = s.connect(json!({"sni": "explains.test"}));
        let value = s.value(&connection, json!([{"key": "alice", "signature": "flip"}]));
        let head =
            format!("GET /hello.txt HTTP/1.1\r\nHost: explains.test\r\nSec-Token-Binding: {value}\r\n\r\n");
        let answer = s.client.exchange(&connection, &head);
        s.note(&answer);
        s.outcome(&answer)
    }),
    row("Token-Binding-Key-Parameters", "surface", "ecdsap256, rsa2048_pss, rsa2048_pkcs1.5", |s| {
        [("01000102", "alice"), ("01000101", "pss"), ("01000100", "pkcs")]
            .map(|(offer, key)| {
                let connection = s.connect(json!({"offer": offer}));
                let value = s.value(&connection, json!([{"key": key}]));
                let answer = s.request(&connection, "/cgi/env.cgi", &value);
                answer.variable("Token_Binding_Key_Parameters").unwrap_or("none").to_owned()
            })
            .join(", ")
    }),
    row("Token-Binding-Context", "tls-term §2", "both, as exported", |s| {
        let (connection, session) = s.session(json!({}));
        let value = s.alice(&connection);
        let answer = s.request(&connection, "/cgi/env.cgi", &value);
        let expected = context(&session.ekm);
        let seen = ["Token_Binding_Context", "Sec_Token_Binding_Context"].map(|name| answer.variable(name));
        if seen == [Some(expected.as_str()); 2] {
            "both, as exported".to_owned()
        } else {
            format!("{seen:?}")
        }
    }),
    row("TokenBindingPassVar none", "surface", "200 verified", |s| path(s, "/none/env.cgi")),
    row("the backend", "ttrp §2.3", "200 provided=alice referred=mallory other=7.pss", |s| {
        let connection = s.connect(json!({}));
        let bindings = json!([{"key": "alice"}, {"key": "mallory", "type": 1}, {"key": "pss", "type": 7}]);
        let value = s.value(&connection, bindings);
        let answer = s.request(&connection, "/backend/x", &value);
        s.backend_outcome(&answer)
    }),
    row("the backend, TokenBindingPassVar none", "surface", "200", |s| backend(s, "/backend/none")),
    row(
        "the backend, TokenBindingPassVar provided context",
        "tls-term §2",
        "200 context context message provided=alice",
        |s| {
            let outcome = backend(s, "/backend/context");
            let mut words: Vec<&str> = outcome.split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        },
    ),
    row("Require token-binding", "surface", "200, 403, 400", |s| {
        let bound = s.connect(json!({}));
        let unbound = s.connect(json!({"offer": null}));
        let value = s.alice(&bound);
        let forged = s.value(&bound, json!([{"key": "alice", "signature": "flip"}]));
        let status = |answer: crate::common::exchange::Answer| answer.status.to_string();
        [
            status(s.request(&bound, "/private/provided.txt", &value)),
            status(s.get(&unbound, "/private/provided.txt", &[])),
            status(s.request(&bound, "/private/provided.txt", &forged)),
        ]
        .join(", ")
    }),
    row("Require token-binding referred", "surface", "403, 200", |s| {
        let connection = s.connect(json!({}));
        let without = s.alice(&connection);
        let with = s.value(&connection, json!([{"key": "alice"}, {"key": "mallory", "type": 1}]));
        [without, with]
            .map(|value| s.request(&connection, "/private/referred.txt", &value).status.to_string())
            .join(", ")
    }),
    row(
        "Include-Referred-Token-Binding-ID on a redirect",
        "8473 §5.3",
        "302 true, 302 none, 200 none",
        |s| {
            let (bound, unbound) = (s.connect(json!({})), s.connect(json!({"offer": null})));
            let value = s.alice(&bound);
            let words = |answer: crate::common::exchange::Answer| {
                format!(
                    "{} {}",
                    answer.status,
                    answer.header("Include-Referred-Token-Binding-ID").unwrap_or("none")
                )
            };
            [
                words(s.request(&bound, "/login", &value)),
                words(s.get(&unbound, "/login", &[])),
                words(s.request(&bound, "/hello.txt", &value)),
            ]
            .join(", ")
        },
    ),
];

fn path(s: &mut super::Stage, path: &str) -> String {
    let connection = s.connect(json!({}));
    let value = s.alice(&connection);
    let answer = s.request(&connection, path, &value);
    s.outcome(&answer)
}

fn backend(s: &mut super::Stage, path: &str) -> String {
    let connection = s.connect(json!({}));
    let value = s.alice(&connection);
    let answer = s.request(&connection, path, &value);
    s.backend_outcome(&answer)
}

/// draft-campbell-tokbind-tls-term §2: version, key parameters, EKM.
fn context(ekm: &str) -> String {
    let octet = |place: usize| u8::from_str_radix(&ekm[place..place + 2], 16).expect("hex");
    let mut octets = vec![1, 0, 2];
    octets.extend((0..ekm.len()).step_by(2).map(octet));
    base64url(&octets)
}
