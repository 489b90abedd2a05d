//! Bound tokens: whose they are, decided on every connection anew.

use openssl::ssl::SslVersion;
use serde_json::{Value, json};
use tokbind::tls::Connector;

use super::tokens::{bound_to, keys as issuers, token};
use super::{WRONG_BINDING, WRONG_CERTIFICATE, bearer, challenge, invalid_token, present, server};
use crate::common::bound::{identity, tbh};
use crate::common::certificates::Identity;
use crate::common::exchange::{Answer, get_plain};
use crate::common::{Bound, Httpd, connector, keys, pki};

/// All that a verifier can ask for.
const POLICIES: [(&str, &str); 5] = [
    ("bearer", "OAuth2TokenVerify jwk {one}"),
    ("mtls", "OAuth2TokenVerify jwk {one} type=mtls"),
    ("mtls-optional", "OAuth2TokenVerify jwk {one} type=mtls&mtls.policy=optional"),
    ("tb", "OAuth2TokenVerify jwk {one} type=token-binding"),
    ("tb-optional", "OAuth2TokenVerify jwk {one} type=token-binding&token-binding.policy=optional"),
];

/// Both ways to bind in one `cnf`.
fn both(certificate: &Identity, id: &token_binding::KeyPair) -> Value {
    let mut both = bound_to(certificate);
    both["cnf"]["tbh"] = json!(tbh(id));
    both
}

/// A client with this certificate that offers Token Binding.
fn binding(certificate: Option<&Identity>, version: SslVersion) -> Connector {
    let connector = connector().tls_version(version);
    match certificate {
        Some(certificate) => connector.identity(identity(certificate)),
        None => connector,
    }
    .build()
    .expect("a connector")
}

/// What a client with certificate A and key A gets at each place, for a token with these claims.
fn statuses(client: &mut Bound, claims: Value) -> [u16; 5] {
    let token = token(claims);
    POLICIES.map(|(name, _)| client.get(&format!("/{name}/env"), &[&bearer(&token)]).status)
}

#[test]
fn a_binding_holds_or_the_token_is_refused_whatever_the_policy() {
    let server = server(&POLICIES).start();
    let (pki, tb) = (pki(), keys());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let connector = binding(Some(&pki.client_a), version);
        let mut client = Bound::connect(&connector, server.tls(), "localhost");
        let digest = bound_to(&pki.client_a)["cnf"]["x5t#S256"].as_str().unwrap().to_owned();
        // at: bearer, mtls, mtls optional, token-binding, token-binding optional
        let rows = [
            (json!({}), [200, 401, 200, 401, 200]),
            (bound_to(&pki.client_a), [200, 200, 200, 401, 200]),
            (bound_to(&pki.client_b), [401; 5]),
            (json!({"cnf": {"tbh": tbh(&tb.a)}}), [200, 401, 200, 200, 200]),
            (json!({"cnf": {"tbh": tbh(&tb.b)}}), [401; 5]),
            (both(&pki.client_a, &tb.a), [200; 5]),
            (both(&pki.client_a, &tb.b), [401; 5]),
            (both(&pki.client_b, &tb.a), [401; 5]),
            // What is unknown adds nothing to what is known, and alone is no binding that could be ignored.
            (json!({"cnf": {"x5t#S256": digest, "jkt": "x"}}), [200, 200, 200, 401, 200]),
            (json!({"cnf": {"jkt": "x"}}), [401; 5]),
            (json!({"cnf": {}}), [401; 5]),
            (json!({"cnf": null}), [401; 5]),
            (json!({"cnf": digest}), [401; 5]),
            (json!({"cnf": [{"x5t#S256": digest}]}), [401; 5]),
            (json!({"cnf": {"x5t#S256": [digest]}}), [401; 5]),
            (json!({"cnf": {"x5t#S256": 1, "tbh": tbh(&tb.a)}}), [401; 5]),
            (json!({"cnf": {"x5t#S256": ""}}), [401; 5]),
            (json!({"cnf": {"x5t#S256": format!("{digest}=")}}), [401; 5]),
            (json!({"cnf": {"x5t#S256": format!(" {digest}")}}), [401; 5]),
            (json!({"cnf": {"tbh": digest}}), [401; 5]),
        ];
        for (claims, expected) in rows {
            // The second time the token is known.
            for round in 0..2 {
                assert_eq!(statuses(&mut client, claims.clone()), expected, "{version:?} {round} {claims}");
            }
        }
    }
}

#[test]
fn challenges_tell_what_was_missing() {
    let server = server(&POLICIES).start();
    let (pki, tb) = (pki(), keys());
    let rows = [
        ("bearer", bound_to(&pki.client_a), WRONG_CERTIFICATE),
        ("mtls", json!({}), "An access token bound to the client certificate is required"),
        ("tb", json!({}), "An access token bound to a Token Binding is required"),
        ("mtls", json!({"cnf": {"tbh": tbh(&tb.a)}}), WRONG_BINDING),
        ("tb", json!({"cnf": {"x5t#S256": "x"}}), WRONG_CERTIFICATE),
    ];
    for (name, claims, description) in rows {
        let answer = present(&server, None, &format!("/{name}/env"), &token(claims.clone()));
        let expected = invalid_token(description);
        assert_eq!((answer.status, challenge(&answer)), (401, Some(expected.as_str())), "{name} {claims}");
    }
}

#[test]
fn each_verifier_of_a_list_has_its_own_policy() {
    // The first is anybody's; the second wants bound tokens. mod_oauth2 takes the policy from the wrong one.
    let chain = "OAuth2TokenVerify jwk {one} {first}\nOAuth2TokenVerify jwk {ec} type=mtls";
    let server =
        server(&[("chain", chain), ("twice", &chain.replace("{first}", "type=mtls&mtls.policy=optional"))])
            .value("first", "type=bearer")
            .value("ec", issuers().ec.quoted())
            .start();
    let (pki, second) = (pki(), &issuers().ec);
    for place in ["chain", "twice"] {
        for _ in 0..3 {
            let path = format!("/{place}/env");
            let status = |identity, token: &str| present(&server, identity, &path, token).status;
            assert_eq!(status(None, &token(json!({}))), 200);
            assert_eq!(status(None, &second.token(&super::tokens::claims(json!({})))), 401);
            let bound = second.token(&super::tokens::claims(bound_to(&pki.client_a)));
            assert_eq!(status(Some(&pki.client_a), &bound), 200);
            assert_eq!(status(Some(&pki.client_b), &bound), 401);
            assert_eq!(status(None, &bound), 401);
        }
    }
}

#[test]
fn a_token_is_known_and_its_sender_never_taken_for_granted() {
    let server = server(&POLICIES).children(1).start();
    let (pki, tb) = (pki(), keys());
    let (x5t, tbh) =
        (bearer(&token(bound_to(&pki.client_a))), bearer(&token(json!({"cnf": {"tbh": tbh(&tb.a)}}))));
    let certificate =
        |identity| Bound::connect(&binding(identity, SslVersion::TLS1_3), server.tls(), "localhost");
    let mut clients = [certificate(Some(&pki.client_a)), certificate(Some(&pki.client_b)), certificate(None)];
    for _ in 0..20 {
        for place in ["bearer", "mtls", "mtls-optional"] {
            let path = format!("/{place}/env");
            let statuses = clients.each_mut().map(|client| client.get(&path, &[&x5t]).status);
            assert_eq!(statuses, [200, 401, 401], "{place}");
        }
        for place in ["bearer", "tb", "tb-optional"] {
            let path = format!("/{place}/env");
            // On one connection: key A, key B, none.
            let mut client = Bound::open(&server);
            assert_eq!(client.get(&path, &[&tbh]).status, 200);
            let mut client = client.with_key(&tb.b);
            assert_eq!(client.get(&path, &[&tbh]).status, 401);
            assert_eq!(client.unbound(&path, &[&tbh]).status, 401);
            // A referred binding says where the client was, not who it is.
            let mut client = client.referring(&tb.a);
            assert_eq!(client.get(&path, &[&tbh]).status, 401);
        }
    }
}

#[test]
fn headers_prove_nothing() {
    let server = server(&POLICIES).start();
    let (pki, tb) = (pki(), keys());
    let pem = String::from_utf8(pki.client_a.certificate_pem()).unwrap().replace('\n', " ");
    let digest = bound_to(&pki.client_a)["cnf"]["x5t#S256"].as_str().unwrap().to_owned();
    let claims = [
        format!("SSL_CLIENT_CERT: {pem}"),
        format!("TB_SSL_CLIENT_CERT_FINGERPRINT: {digest}"),
        format!(
            "Client-Cert: :{}:",
            openssl::base64::encode_block(&pki.client_a.certificate.to_der().unwrap()).replace('\n', "")
        ),
        format!("Sec-Provided-Token-Binding-ID: {}", crate::common::id(&tb.a)),
        format!("Token-Binding-Hash: {}", tbh(&tb.a)),
    ];
    for bound in [bound_to(&pki.client_a), json!({"cnf": {"tbh": tbh(&tb.a)}})] {
        let token = bearer(&token(bound));
        let mut fields: Vec<&str> = claims.iter().map(String::as_str).collect();
        fields.push(&token);
        for (place, _) in POLICIES {
            let path = format!("/{place}/env");
            let secure: Answer = super::get(&server, None, &path, &fields);
            assert_eq!(
                (secure.status, get_plain(server.plain(), "localhost", &path, &fields).status),
                (401, 401)
            );
        }
    }
}

#[test]
fn without_tls_there_are_bearer_tokens_only() {
    let server: Httpd = server(&POLICIES).start();
    let statuses = |claims: Value| {
        let field = bearer(&token(claims));
        POLICIES.map(|(name, _)| {
            get_plain(server.plain(), "localhost", &format!("/{name}/env"), &[&field]).status
        })
    };
    assert_eq!(statuses(json!({})), [200, 401, 200, 401, 200]);
    assert_eq!(statuses(bound_to(&pki().client_a)), [401; 5]);
}
