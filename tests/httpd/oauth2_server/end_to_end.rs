//! A client gets a token with its certificate and uses it with that one, with another one, with none.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{
    authorization, authorization_server, bearer, invalid_token, opaque, present, resource_server, status,
};
use crate::common::authorization_server::{AuthorizationServer, Format, Grant};
use crate::common::certificates::Identity;
use crate::common::{Independent, pki};

const WRONG_CERTIFICATE: &str = "Missing / invalid client X.509 certificate for x5t#S256 bound access token";
/// What the JWTs of the authorization server claim.
const CLAIMS: &str = "iss={as}&aud=https://api.test";

/// A token of either kind, bound to this certificate by the mutual TLS of the token endpoint (RFC 8705 §3).
fn bound(server: &AuthorizationServer, format: Format, certificate: &Identity) -> String {
    server.token(&Grant { format, certificate: Some(certificate), ..Grant::default() })
}

#[test]
fn a_bound_token_is_good_with_its_certificate_only() {
    let issuer = authorization_server();
    let pki = pki();
    let tokens = [
        (bound(&issuer, Format::Es256, &pki.client_a), &pki.client_a, &pki.client_b),
        (bound(&issuer, Format::Rs256, &pki.self_signed), &pki.self_signed, &pki.client_a),
        (bound(&issuer, Format::Opaque, &pki.client_a), &pki.client_a, &pki.client_b),
    ];
    let server = resource_server(
        &issuer,
        &[
            ("jwks", &format!("{{jwks}}&type=mtls&verify.typ=required&{CLAIMS}")),
            ("jwks-shared", "{jwks}&verify.cache=verdicts"),
            ("metadata", "{metadata}&type=mtls"),
            ("metadata-shared", "{metadata}&verify.cache=verdicts&aud=https://api.test&verify.aud=optional"),
            ("introspect", "{introspect}&type=mtls"),
            ("introspect-shared", "{introspect}&verify.cache=verdicts"),
        ],
    )
    .config("OAuth2Cache shm name=verdicts")
    .start();
    let challenge = invalid_token(WRONG_CERTIFICATE);
    // The first round is judged, the others are remembered. Whoever comes without the certificate may come first.
    for round in 0..3 {
        for (token, own, other) in &tokens {
            let kinds: &[&str] =
                if token.contains('.') { &["jwks", "metadata"] } else { &["metadata", "introspect"] };
            for path in kinds.iter().flat_map(|kind| [format!("/{kind}/env"), format!("/{kind}-shared/env")])
            {
                for identity in [None, Some(*other)] {
                    let answer = present(&server, identity, &path, token);
                    assert_eq!(
                        (answer.status, answer.header("WWW-Authenticate")),
                        (401, Some(challenge.as_str())),
                        "{round} {path}"
                    );
                }
                let answer = present(&server, Some(own), &path, token);
                assert_eq!(answer.status, 200, "{round} {path} {}", server.log());
                assert_eq!(answer.variable("AUTH_TYPE"), Some("oauth2"));
                assert_eq!(answer.variable("REMOTE_USER"), Some("bound"), "{path}");
                assert_eq!(answer.variable("OAUTH2_CLAIM_scope"), Some("read"), "{path}");
            }
        }
    }
    let counts = issuer.counts();
    // Each location asks for itself, since each has an option of its own; documents with one URL are one.
    assert_eq!((counts.jwks, counts.metadata, counts.introspection), (4, 2, 4), "once each");
}

#[test]
fn tokens_that_are_not_bound_are_bearer_tokens_where_that_is_allowed() {
    let issuer = authorization_server();
    let server = resource_server(
        &issuer,
        &[
            ("mtls", "{metadata}&type=mtls"),
            ("optional", "{metadata}&type=mtls&mtls.policy=optional"),
            ("bearer", "{metadata}"),
            ("audience", "{metadata}&aud=https://other.test"),
        ],
    )
    .start();
    let challenge = invalid_token("An access token bound to the client certificate is required");
    for token in [issuer.token(&bearer()), issuer.token(&opaque())] {
        for identity in [None, Some(&pki().client_a)] {
            let answer = present(&server, identity, "/mtls/env", &token);
            assert_eq!((answer.status, answer.header("WWW-Authenticate")), (401, Some(challenge.as_str())));
            assert_eq!(present(&server, identity, "/optional/env", &token).status, 200);
            assert_eq!(present(&server, identity, "/bearer/env", &token).status, 200);
            assert_eq!(present(&server, identity, "/audience/env", &token).status, 401);
        }
    }
}

#[test]
fn streams_of_http2_are_of_the_connection_that_the_certificate_is_of() {
    let issuer = authorization_server();
    let tokens = [Format::Es256, Format::Opaque].map(|format| bound(&issuer, format, &pki().client_a));
    let server = resource_server(&issuer, &[("api", "{metadata}&type=mtls")])
        .load(&["http2"])
        .config("Protocols h2 http/1.1")
        .start();
    let mut client = Independent::start();
    for tls in ["1.2", "1.3"] {
        for (name, expected) in [(Some("client_a"), 200), (Some("client_b"), 401), (None, 401)] {
            let connection = format!("{tls} {name:?}");
            let mut options = json!({"tls": tls, "alpn": "h2", "offer": null});
            if let Some(name) = name {
                options["certificate"] = json!(server.pki(&format!("{name}.pem")).display().to_string());
                options["private_key"] = json!(server.pki(&format!("{name}.key")).display().to_string());
            }
            client.connect(&connection, server.tls(), &options).done();
            let streams: Vec<_> = tokens
                .iter()
                .cycle()
                .take(6)
                .map(|token| json!({"path": "/api/env", "headers": [["authorization", format!("Bearer {token}")]]}))
                .collect();
            for _ in 0..2 {
                let statuses: Vec<u16> =
                    client.streams(&connection, &json!(streams)).iter().map(|answer| answer.status).collect();
                assert_eq!(statuses, [expected; 6], "{connection}");
            }
        }
    }
    // Six streams at a time may ask at the same time, before the answer is known.
    assert!((1..=6).contains(&issuer.counts().introspection), "{:?}", issuer.counts());
}

#[test]
fn what_has_expired_is_refused_whatever_is_remembered() {
    let issuer = authorization_server();
    let server = resource_server(
        &issuer,
        &[
            ("jwks", "{jwks}&expiry=3600&verify.cache=verdicts"),
            ("introspect", "{introspect}&expiry=3600&verify.cache=verdicts"),
        ],
    )
    .config("OAuth2Cache shm name=verdicts")
    .start();
    let lifetime = Duration::from_secs(6);
    let rows = [("/jwks/env", Format::Es256), ("/introspect/env", Format::Opaque)]
        .map(|(path, format)| (path, issuer.token(&Grant { format, lifetime, ..bearer() })));
    for _ in 0..2 {
        rows.iter().for_each(|(path, token)| assert_eq!(status(&server, path, token), 200, "{path}"));
    }
    thread::sleep(lifetime + Duration::from_secs(1));
    for ((path, token), description) in
        rows.iter().zip(["The access token expired", "The access token is not active"])
    {
        let answer = present(&server, None, path, token);
        let expected = invalid_token(description);
        assert_eq!(
            (answer.status, answer.header("WWW-Authenticate")),
            (401, Some(expected.as_str())),
            "{path}"
        );
    }
}

#[test]
fn a_revoked_token_is_refused_when_its_verdict_is_over() {
    let issuer = authorization_server();
    let token = issuer.token(&opaque());
    let server = resource_server(
        &issuer,
        &[("short", "{introspect}&expiry=2"), ("long", "{introspect}"), ("never", "{introspect}&expiry=0")],
    )
    .start();
    for path in ["/short/env", "/long/env", "/never/env"] {
        assert_eq!(status(&server, path, &token), 200, "{path}");
    }
    issuer.revoke("bearer", &token);
    assert_eq!(status(&server, "/never/env", &token), 401, "nothing is remembered there");
    assert_eq!(status(&server, "/long/env", &token), 200, "the administrator chose to remember");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(status(&server, "/short/env", &token), 401);
    assert_eq!(status(&server, "/long/env", &token), 200);
}

#[test]
fn it_is_remembered_for_ten_seconds_that_a_token_is_not_active() {
    let issuer = authorization_server();
    let revoked = issuer.token(&opaque());
    issuer.revoke("bearer", &revoked);
    let server = resource_server(&issuer, &[("api", "{introspect}"), ("metadata", "{metadata}")]).start();
    for token in ["nonsense", revoked.as_str()] {
        let before = issuer.counts().introspection;
        for path in ["/api/env", "/metadata/env"].repeat(5) {
            let answer = present(&server, None, path, token);
            let expected = invalid_token("The access token is not active");
            assert_eq!((answer.status, answer.header("WWW-Authenticate")), (401, Some(expected.as_str())));
        }
        assert_eq!(issuer.counts().introspection - before, 2, "once for each location");
    }
    thread::sleep(Duration::from_secs(11));
    let before = issuer.counts().introspection;
    assert_eq!(status(&server, "/api/env", "nonsense"), 401);
    assert_eq!(issuer.counts().introspection - before, 1);
    // Another token's fate is not its.
    assert_eq!(status(&server, "/api/env", &issuer.token(&opaque())), 200);
    let fields = authorization("nonsense");
    server.forbid_in_log(&revoked);
    assert!(!server.log().contains(&fields), "no token is logged");
}
