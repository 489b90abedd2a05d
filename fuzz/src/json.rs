//! JSON objects and the `cnf` in them: our reading of claims and a slow one agree on every input.

use sender_constraint::cnf::{Confirmation, ConfirmationPolicy, Method, Proofs};
use sender_constraint::json::parse_object;
use sender_constraint::thumbprint::Thumbprint;
use serde_json::Value;
use token_binding::TokenBindingHash;

use crate::slow;
use crate::slow::json::Json;

/// Any octets as the claims of a token.
pub fn run(data: &[u8]) {
    let (ours, theirs) = (parse_object(data), slow::json::parse_object(data));
    assert_eq!(ours.is_ok(), theirs.is_some(), "one accepts and one refuses: {ours:?}, {theirs:?}");
    if let (Ok(ours), Some(theirs)) = (ours, theirs) {
        let confirmation = Confirmation::from_claims(&ours).ok();
        same(&Value::Object(ours), &theirs);
        bound(confirmation, &theirs);
    }
}

/// Whether both mean the same.
pub fn same(ours: &Value, theirs: &Json) {
    match (ours, theirs) {
        (Value::Null, Json::Null) => (),
        (Value::Bool(one), Json::Bool(two)) => assert_eq!(one, two),
        (Value::String(one), Json::String(two)) => assert_eq!(one, two),
        (Value::Number(one), Json::Number(two)) => same_number(one, two),
        (Value::Array(one), Json::Array(two)) => {
            assert_eq!(one.len(), two.len());
            one.iter().zip(two).for_each(|(one, two)| same(one, two));
        }
        (Value::Object(one), Json::Object(two)) => {
            assert_eq!(one.len(), two.len());
            two.iter().for_each(|(name, value)| same(&one[name], value));
        }
        _ => panic!("{ours:?} and {theirs:?}"),
    }
}

/// The integer that it is, or else the nearest double.
fn same_number(ours: &serde_json::Number, theirs: &str) {
    match (theirs.parse::<i64>(), theirs.parse::<u64>()) {
        (Ok(0), _) if theirs.starts_with('-') => assert_eq!(ours.as_f64(), Some(0.0)),
        (Ok(integer), _) => assert_eq!(ours.as_i64(), Some(integer)),
        (_, Ok(integer)) => assert_eq!(ours.as_u64(), Some(integer)),
        _ => assert_eq!(ours.as_f64(), theirs.parse().ok()),
    }
}

/// A member of `cnf`: not there; 32 octets; or something that no hash equals.
type Bound = Option<Option<[u8; 32]>>;

/// RFC 7800 §3.1, RFC 8705 §3.1: `None` for a `cnf` that cannot be checked.
pub fn read_cnf(claims: &Json) -> Option<[Bound; 2]> {
    let Some(cnf) = claims.get("cnf") else { return Some([None, None]) };
    let Json::Object(_) = cnf else { return None };
    let member = |name| match cnf.get(name) {
        None => Some(None),
        Some(Json::String(text)) => {
            Some(Some(slow::base64url::decode(text.as_bytes()).and_then(|octets| octets.try_into().ok())))
        }
        Some(_) => None,
    };
    let both = [member("x5t#S256")?, member("tbh")?];
    (both != [None, None]).then_some(both)
}

/// Every proof that a connection may have, against every policy.
fn bound(ours: Option<Confirmation>, claims: &Json) {
    let theirs = read_cnf(claims);
    assert_eq!(ours.is_some(), theirs.is_some());
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    assert_eq!(ours.is_bound(), theirs != [None, None]);
    let expected = theirs[0].flatten();
    for certificate in [None, Some([7; 32]), expected] {
        for id in [None, Some(OTHER_ID), Some(BOUND_ID)] {
            for required in [None, Some(Method::ClientCertificate), Some(Method::TokenBinding)] {
                judge(&ours, &theirs, certificate, id, required);
            }
        }
    }
}

/// The Token Binding ID that the seeds are bound to, and another one.
pub const BOUND_ID: &[u8] = b"bound";
const OTHER_ID: &[u8] = b"other";

fn judge(
    ours: &Confirmation,
    theirs: &[Bound; 2],
    certificate: Option<[u8; 32]>,
    id: Option<&[u8]>,
    required: Option<Method>,
) {
    let (thumbprint, hash) = (certificate.map(Thumbprint::from_digest), id.map(TokenBindingHash::of));
    let proven = [certificate, id.map(openssl::sha::sha256)];
    let proofs = Proofs { certificate: thumbprint.as_ref(), token_binding: hash.as_ref() };
    let result = ConfirmationPolicy { required }.check(ours, &proofs);
    let holds = |at: usize| theirs[at].is_none_or(|expected| expected.is_some() && expected == proven[at]);
    let wanted = match required {
        None => true,
        Some(Method::ClientCertificate) => theirs[0].is_some(),
        Some(Method::TokenBinding) => theirs[1].is_some(),
    };
    assert_eq!(result.is_ok(), holds(0) && holds(1) && wanted);
    if let Ok(bound) = result {
        assert_eq!([bound.certificate, bound.token_binding], [theirs[0].is_some(), theirs[1].is_some()]);
    }
}
