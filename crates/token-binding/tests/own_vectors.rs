//! The project's own vectors (`tests/vectors/own.json`, made by `make.py` beside it): sound messages at the edges of what is
//! allowed, and forgeries. They always run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use openssl::error::ErrorStack;
use serde_json::Value;
use token_binding::{
    Ekm, KeyParameters, Negotiated, ProtocolVersion, Rejection, Verified, base64url, verify,
};

fn messages() -> Vec<Value> {
    let own: Value = serde_json::from_str(include_str!("vectors/own.json")).unwrap();
    own["messages"].as_array().unwrap().clone()
}

fn judge(vector: &Value) -> Result<Verified, Rejection> {
    let code = u8::try_from(vector["negotiated_key_parameters"].as_u64().unwrap()).unwrap();
    let key_parameters = KeyParameters::from_code(code).unwrap();
    let ekm = base64url::decode(vector["ekm_b64u"].as_str().unwrap().as_bytes()).unwrap();
    verify(
        vector["sec_token_binding"].as_str().unwrap().as_bytes(),
        &Negotiated { version: ProtocolVersion::V1_0, key_parameters },
        &Ekm::new(ekm.try_into().unwrap()),
    )
}

#[test]
fn are_judged_as_written() {
    let mut faults = Vec::new();
    for vector in messages() {
        let (id, outcome) = (vector["id"].as_str().unwrap(), vector["outcome"].as_str().unwrap());
        match judge(&vector) {
            Ok(verified) if outcome == "accept" => exposes(&vector, &verified),
            Ok(_) => faults.push(format!("{id}: accepted instead of {outcome}")),
            Err(rejection) if rejection.label() != outcome => {
                faults.push(format!("{id}: {} ({rejection}) instead of {outcome}", rejection.label()));
            }
            Err(rejection) => {
                let reason = vector["reason"].as_str().map(str::to_owned);
                if reason.is_some_and(|reason| reason != rejection.to_string()) {
                    faults.push(format!("{id}: \"{rejection}\" instead of {}", vector["reason"]));
                }
            }
        }
        // httpd's threads share OpenSSL's error queue with mod_ssl, which would take our errors for its own.
        if !ErrorStack::get().errors().is_empty() {
            faults.push(format!("{id}: left errors in OpenSSL's queue"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Exactly the IDs that the vector names come out.
fn exposes(vector: &Value, verified: &Verified) {
    let id = &vector["id"];
    assert_eq!(vector["provided_b64u"], verified.provided.to_base64url(), "{id}");
    let referred = verified.referred.as_ref().map(|id| id.to_base64url());
    assert_eq!(vector["referred_b64u"].as_str(), referred.as_deref(), "{id}");
    let other: Vec<Value> =
        verified.other.iter().map(|(code, id)| serde_json::json!([code, id.to_base64url()])).collect();
    assert_eq!(vector["other"], Value::Array(other), "{id}");
}

#[test]
fn cover_every_label() {
    let vectors = messages();
    for label in [
        "accept",
        "duplicate-field",
        "empty-field",
        "invalid-base64url",
        "malformed",
        "no-provided",
        "several-provided",
        "several-referred",
        "key-parameters-mismatch",
        "too-many-bindings",
        "invalid-key",
        "invalid-signature",
    ] {
        assert!(vectors.iter().any(|vector| vector["outcome"] == label), "{label}");
    }
}
