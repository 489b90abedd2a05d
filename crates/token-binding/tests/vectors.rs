//! The published vectors: `../shared/specs/vectors.json`, which is not part of the project.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use token_binding::{
    ClientOffer, Ekm, Handshake, KeyParameters, Negotiated, Preference, ProtocolVersion, Rejection,
    TokenBindingContext, TokenBindingHash, TokenBindingMessage, base64url, negotiate, reserved, ttrp, verify,
};

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The published vectors, or a printed note that they did not run; under `CI=true` their absence is a failure.
fn published(section: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/vectors.json");
    if !path.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing", path.display());
        eprintln!("NOT RUN: {section} of {}, which is missing", path.display());
        return Vec::new();
    }
    read(&path)[section].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} in {vector}"))
}

fn octets(vector: &Value, name: &str) -> Vec<u8> {
    base64url::decode(text(vector, name).as_bytes()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn negotiated(vector: &Value) -> Negotiated {
    let code = u8::try_from(vector["negotiated_key_parameters"].as_u64().unwrap()).unwrap();
    Negotiated { version: ProtocolVersion::V1_0, key_parameters: KeyParameters::from_code(code).unwrap() }
}

fn ekm(vector: &Value) -> Ekm {
    Ekm::new(octets(vector, "ekm_b64u").try_into().unwrap())
}

#[test]
fn published_messages() {
    let vectors = published("token_binding_messages");
    for vector in &vectors {
        let id = text(vector, "id");
        let field_value = text(vector, "sec_token_binding").as_bytes();
        match text(vector, "computed_outcome") {
            "accept" => accepted(vector, field_value),
            "reject" => {
                let rejection = verify(field_value, &negotiated(vector), &ekm(vector)).expect_err(id);
                assert_reason(vector, rejection);
            }
            "unverifiable" => parses(vector, field_value),
            other => panic!("{id}: outcome {other}"),
        }
    }
    assert!(vectors.is_empty() || vectors.len() == 43, "{} vectors", vectors.len());
}

/// The message is verified, and exactly the bindings marked "valid" come out, as they went in.
fn accepted(vector: &Value, field_value: &[u8]) {
    let id = text(vector, "id");
    parses(vector, field_value);
    let verified = verify(field_value, &negotiated(vector), &ekm(vector))
        .unwrap_or_else(|rejection| panic!("{id}: {rejection}"));
    let (mut provided, mut referred, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for binding in vector["bindings"].as_array().unwrap() {
        if text(binding, "signature") != "valid" {
            continue;
        }
        let value = text(binding, "token_binding_id_b64u").to_owned();
        match binding["tokenbinding_type"].as_u64().unwrap() {
            0 => provided.push(value),
            1 => referred.push(value),
            code => other.push((u8::try_from(code).unwrap(), value)),
        }
    }
    assert_eq!(vec![verified.provided.to_base64url()], provided, "{id}");
    assert_eq!(verified.referred.iter().map(|id| id.to_base64url()).collect::<Vec<_>>(), referred, "{id}");
    let shown = verified.other.iter().map(|(code, id)| (*code, id.to_base64url())).collect::<Vec<_>>();
    assert_eq!(shown, other, "{id}");
    backend_headers(vector, &verified);
}

/// draft-ietf-tokbind-ttrp §2.4 prints what a backend gets. Types are hexadecimal numbers of one or two digits of any case.
fn backend_headers(vector: &Value, verified: &token_binding::Verified) {
    let Some(headers) = vector["expected_backend_headers"].as_object() else { return };
    let expected = |name: &std::ffi::CStr| {
        headers.get(name.to_str().unwrap()).map(|value| value.as_str().unwrap().to_owned())
    };
    assert_eq!(expected(reserved::PROVIDED), Some(verified.provided.to_base64url()));
    assert_eq!(expected(reserved::REFERRED), verified.referred.as_ref().map(|id| id.to_base64url()));
    let list = |value: String| {
        value
            .split(',')
            .map(|item| item.split_once('.').unwrap())
            .map(|(code, id)| (u8::from_str_radix(code, 16).unwrap(), id.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(expected(reserved::OTHER).map(list), ttrp::other_header_value(&verified.other).map(list));
}

/// The parser sees what the vector says is there.
fn parses(vector: &Value, field_value: &[u8]) {
    let octets = base64url::decode(field_value).unwrap();
    let message = TokenBindingMessage::parse(&octets).unwrap();
    let expected = vector["bindings"].as_array().unwrap();
    assert_eq!(message.bindings().len(), expected.len());
    for (binding, expected) in message.bindings().iter().zip(expected) {
        assert_eq!(u64::from(binding.token_binding_type.code()), expected["tokenbinding_type"]);
        let code = binding.key_parameters().map_or_else(|code| code, KeyParameters::code);
        assert_eq!(u64::from(code), expected["key_parameters"]);
        assert_eq!(binding.id.to_base64url(), text(expected, "token_binding_id_b64u"));
        assert_eq!(binding.id.hash().to_base64url(), text(expected, "tbh"));
        assert_eq!(base64url::encode(binding.signature), text(expected, "signature_b64u"));
        assert_eq!(binding.extensions.count() == 0, text(expected, "extensions_hex").is_empty());
    }
}

/// The vector's reason and ours are the same one.
fn assert_reason(vector: &Value, rejection: Rejection) {
    let reason = text(vector, "computed_reason");
    let agrees = match rejection {
        Rejection::InvalidSignature => reason == "invalid signature",
        Rejection::KeyParametersMismatch { .. } => reason == "provided key_parameters differ from negotiated",
        Rejection::Malformed(_) => reason.starts_with("malformed") || reason == "no TokenBinding structure",
        Rejection::SeveralProvided => reason.starts_with("2 provided"),
        Rejection::NoProvided => reason.starts_with("0 provided"),
        Rejection::SeveralReferred => reason == "more than one referred_token_binding",
        _ => false,
    };
    assert!(agrees, "{}: {rejection} instead of {reason}", text(vector, "id"));
}

#[test]
fn published_contexts() {
    for vector in published("token_binding_context") {
        let value = text(&vector, "token_binding_context");
        if vector["decodes"] == false {
            assert!(TokenBindingContext::decode(value.as_bytes()).is_err());
            continue;
        }
        let (negotiated, ekm) = TokenBindingContext::decode(value.as_bytes()).unwrap();
        let version = [negotiated.version.major, negotiated.version.minor];
        assert_eq!(version.as_slice(), hex(text(&vector, "version_hex")));
        assert_eq!(u64::from(negotiated.key_parameters.code()), vector["key_parameters"]);
        assert_eq!(base64url::encode(ekm.as_bytes()), text(&vector, "ekm_b64u"));
        assert_eq!(TokenBindingContext::encode(&negotiated, &ekm), value);
        let verified = verify(text(&vector, "sec_token_binding").as_bytes(), &negotiated, &ekm).unwrap();
        assert_eq!(verified.provided.to_base64url(), text(&vector, "expected_provided_id"));
    }
}

#[test]
fn published_hashes() {
    for vector in published("token_binding_hash") {
        // One text in a specification was not made from an ID and says so.
        if vector["verified"] == true {
            let hash = TokenBindingHash::of(&octets(&vector, "token_binding_id_b64u"));
            assert_eq!(hash.to_base64url(), text(&vector, "tbh"));
        }
    }
}

#[test]
fn published_extensions() {
    for vector in published("negotiation_extension") {
        let tls = text(&vector, "tls");
        let handshake = Handshake {
            tls13: tls.starts_with("1.3"),
            extended_master_secret: vector["extended_master_secret"] == true,
            renegotiation_info: vector["renegotiation_info"] == true,
            early_data_accepted: tls.ends_with("early_data accepted"),
        };
        let answer = ClientOffer::parse(&hex(text(&vector, "client_extension_data_hex"))).map(|offer| {
            negotiate(&offer, &Preference::default(), handshake).ok().map(|n| n.extension_data().to_vec())
        });
        let id = text(&vector, "id");
        match vector["expected_server_extension_data_hex"].as_str() {
            Some("decode_error") => assert!(answer.is_err(), "{id}"),
            expected => assert_eq!(answer, Ok(expected.map(hex)), "{id}"),
        }
    }
}
