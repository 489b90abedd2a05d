//! Vectors printed in specifications, read from beside the project. Without them (a checkout by itself) these tests say
//! that they did not run; under CI=true that is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use openssl::x509::X509;
use sender_constraint::challenge::{Scheme, www_authenticate};
use sender_constraint::client_cert_header::{client_cert, client_cert_chain};
use sender_constraint::cnf::{Confirmation, ConfirmationFault, ConfirmationPolicy, Method, Proofs};
use sender_constraint::jwk::{self, KeySet};
use sender_constraint::jwt::{Padding, Unverified};
use sender_constraint::refusal::{Refusal, TokenFault};
use sender_constraint::thumbprint::Thumbprint;
use serde_json::{Value, json};
use token_binding::{TokenBindingHash, base64url};

fn vectors(name: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/specs/vectors.json");
    match std::fs::read(path) {
        Ok(text) => {
            let all: Value = serde_json::from_slice(&text).unwrap();
            all[name].as_array().unwrap().clone()
        }
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{path}: {error}");
            println!("{name}: not run, {path} is not there");
            Vec::new()
        }
    }
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap()
}

fn bound_to(cnf: Value) -> Confirmation {
    Confirmation::from_claims(json!({ "cnf": cnf }).as_object().unwrap()).unwrap()
}

/// RFC 8705: the certificate of appendix A is expired and of X.509 version 1, and binds all the same.
#[test]
fn rfc8705() {
    let policy = ConfirmationPolicy { required: Some(Method::ClientCertificate) };
    for vector in vectors("rfc8705") {
        if let Some(pem) = vector["pem"].as_str() {
            let der = X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
            let thumbprint = Thumbprint::of_der(&der);
            assert_eq!(thumbprint.to_base64url(), text(&vector, "x5t_S256"));
            let proofs = Proofs { certificate: Some(&thumbprint), token_binding: None };
            let bound = bound_to(json!({"x5t#S256": vector["x5t_S256"]}));
            assert!(policy.check(&bound, &proofs).unwrap().certificate);
            assert!(jwk::from_jwk(vector["jwk"].to_string().as_bytes()).is_ok());
        }
        // the thumbprint printed in §3.1 and §3.2 is not canonical base64url: it binds, and matches nothing
        let claims =
            [&vector["claims"], &vector["introspection_response"]].into_iter().find_map(Value::as_object);
        if let Some(claims) = claims {
            let bound = Confirmation::from_claims(claims).unwrap();
            assert!(bound.is_bound());
            let nearest = base64url::decode(b"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0").unwrap();
            let nearest = Thumbprint::from_digest(nearest.try_into().unwrap());
            let proofs = Proofs { certificate: Some(&nearest), token_binding: None };
            let mismatch = Err(ConfirmationFault::Mismatch(Method::ClientCertificate));
            assert_eq!(policy.check(&bound, &proofs), mismatch);
        }
    }
}

/// OpenID Connect Token Bound Authentication, appendix A: signatures, and the hash of the browser's Token Binding ID.
#[test]
fn token_bound_id_tokens() {
    let ids = vectors("token_binding_hash");
    for vector in vectors("oidc_token_bound_id_token") {
        let key = jwk::from_jwk(vector["op_jwk"].to_string().as_bytes());
        let token = text(&vector, "id_token").as_bytes();
        if vector["header"]["alg"] == "ES512" {
            // not offered here: neither the curve nor the algorithm
            assert!(key.is_err());
            assert_eq!(Unverified::parse(token, Padding::Refused).err(), Some(TokenFault::Algorithm));
        } else {
            let unverified = Unverified::parse(token, Padding::Refused).unwrap();
            unverified.verify(&KeySet::of(key.unwrap())).unwrap();
            assert_eq!(Value::Object(unverified.into_claims()), vector["claims"]);
        }
        let bound = Confirmation::from_claims(vector["claims"].as_object().unwrap()).unwrap();
        let tbh = &vector["claims"]["cnf"]["tbh"];
        for id in
            ids.iter().filter(|id| id["tbh"] == *tbh).filter_map(|id| id["token_binding_id_b64u"].as_str())
        {
            let hash = TokenBindingHash::of(&base64url::decode(id.as_bytes()).unwrap());
            let proofs = Proofs { certificate: None, token_binding: Some(&hash) };
            assert!(ConfirmationPolicy::default().check(&bound, &proofs).unwrap().token_binding);
        }
    }
}

#[test]
fn rfc9440() {
    for vector in vectors("rfc9440") {
        let chain: Vec<_> = vector["pem_chain"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pem| X509::from_pem(pem.as_str().unwrap().as_bytes()).unwrap().to_der().unwrap())
            .collect();
        assert_eq!(client_cert(&chain[0]), text(&vector, "client_cert"));
        let above = chain[1..].iter().map(Vec::as_slice);
        assert_eq!(client_cert_chain(above).as_deref(), vector["client_cert_chain"].as_str());
    }
}

/// RFC 6750 §3: its two examples. The DPoP ones are not ours to make.
#[test]
fn challenges() {
    let refusals = [("bearer-no-auth", Refusal::NoToken), ("bearer-expired", TokenFault::Expired.into())];
    for vector in vectors("http_challenges") {
        let Some((_, refusal)) = refusals.iter().find(|(id, _)| *id == text(&vector, "id")) else { continue };
        let value = www_authenticate(refusal, Scheme::Bearer, Some(b"example")).unwrap();
        assert_eq!(String::from_utf8(value).unwrap(), text(&vector["headers"], "WWW-Authenticate"));
        assert_eq!(Some(u64::from(refusal.status())), vector["status"].as_u64());
    }
}
