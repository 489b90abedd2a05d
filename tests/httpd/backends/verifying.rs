//! docs/backends/node/token_binding.mjs, which verifies messages by itself, beside `token_binding::verify`: they agree on the
//! vectors, published and our own, and on thousands of damaged messages.

use std::io::Write;
use std::process::{Command, Stdio};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};
use token_binding::{
    Ekm, KeyPair, KeyParameters, MessageBuilder, Negotiated, ProtocolVersion, TokenBindingContext,
    TokenBindingType, base64url, signature_input, verify,
};

use super::application::{Application, documents};
use crate::common::exchange::get_plain;
use crate::common::{Bound, Httpd, id, keys};
use crate::configuration::read;

/// Judges each line of standard input, a message and a context, and prints what it comes to.
const JUDGE: &str = "
    import { createInterface } from 'node:readline';
    const { verify, Refused } = await import(process.argv[1]);
    for await (const line of createInterface({ input: process.stdin })) {
      const [message, context] = JSON.parse(line);
      try {
        console.log(JSON.stringify(verify(message, context)));
      } catch (fault) {
        console.log(JSON.stringify({ refused: fault instanceof Refused ? fault.message : `FAULT ${fault}` }));
      }
    }";

/// A message and a context.
type Case = (String, String);

/// What Node makes of each case.
fn judge(cases: &[Case]) -> Vec<Value> {
    let mut node = Command::new("node")
        .args(["--input-type=module", "-e", JUDGE])
        .arg(documents("node/token_binding.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut input = node.stdin.take().expect("a pipe");
    let lines: String =
        cases.iter().map(|(message, context)| format!("{}\n", json!([message, context]))).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("node ends");
    writer.join().unwrap().expect("node reads");
    let text = String::from_utf8(output.stdout).expect("text");
    let verdicts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(verdicts.len(), cases.len(), "{text}");
    verdicts
}

/// What we make of it, in Node's words; null where it is refused.
fn ours((message, context): &Case) -> Value {
    let Ok((negotiated, ekm)) = TokenBindingContext::decode(context.as_bytes()) else { return Value::Null };
    if negotiated.version != ProtocolVersion::V1_0 {
        return Value::Null;
    }
    let Ok(verified) = verify(message.as_bytes(), &negotiated, &ekm) else { return Value::Null };
    let other: Vec<_> = verified.other.iter().map(|(code, id)| json!([code, id.to_base64url()])).collect();
    let mut words = json!({"provided": verified.provided.to_base64url(), "other": other});
    if let Some(referred) = verified.referred {
        words["referred"] = referred.to_base64url().into();
    }
    words
}

/// Both agree on all cases; how many were accepted.
fn agree(cases: &[Case]) -> usize {
    let mut accepted = 0;
    for (case, theirs) in cases.iter().zip(judge(cases)) {
        let ours = ours(case);
        match theirs["refused"].as_str() {
            Some(reason) => {
                assert!(!reason.starts_with("FAULT") && ours.is_null(), "{case:?}: {reason}, we say {ours}");
            }
            None => {
                assert_eq!(theirs, ours, "{case:?}");
                accepted += 1;
            }
        }
    }
    accepted
}

fn context(key_parameters: KeyParameters, ekm: &Ekm) -> String {
    TokenBindingContext::encode(&Negotiated { version: ProtocolVersion::V1_0, key_parameters }, ekm)
}

/// The messages of a file of vectors, each with the context of its connection.
fn vectors(messages: &Value) -> Vec<Case> {
    let messages = messages.as_array().expect("vectors").iter();
    let case = |vector: &Value| {
        // One was printed without the connection that it belongs to.
        let ekm = base64url::decode(vector["ekm_b64u"].as_str()?.as_bytes()).ok()?;
        let code = u8::try_from(vector["negotiated_key_parameters"].as_u64()?).ok()?;
        let context = context(KeyParameters::from_code(code)?, &Ekm::new(ekm.try_into().ok()?));
        Some((vector["sec_token_binding"].as_str()?.to_owned(), context))
    };
    messages.filter_map(case).collect()
}

#[test]
fn agrees_on_our_vectors() {
    let own: Value = serde_json::from_str(&read("crates/token-binding/tests/vectors/own.json")).unwrap();
    let cases = vectors(&own["messages"]);
    let accept = own["messages"].as_array().unwrap().iter().filter(|vector| vector["outcome"] == "accept");
    assert_eq!(agree(&cases), accept.count());
}

#[test]
fn agrees_on_the_published_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/specs/vectors.json");
    let Ok(text) = std::fs::read(path) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{path} is missing");
        eprintln!("NOT RUN: published messages, {path} is missing");
        return;
    };
    let published: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(agree(&vectors(&published["token_binding_messages"])), 30);
    // A draft's version, which was on the wire in 2017, is none that we go along with; nor is what does not decode.
    let contexts = published["token_binding_context"].as_array().unwrap().iter();
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap_or_default().to_owned();
    let cases: Vec<Case> = contexts
        .map(|vector| (text(vector, "sec_token_binding"), text(vector, "token_binding_context")))
        .collect();
    assert_eq!(agree(&cases), 0);
}

/// Sound messages of every kind of key, with everything that may be in one, and their connection's context.
fn sound() -> Vec<Case> {
    let ekm = Ekm::new([7; 32]);
    let kinds = [KeyParameters::EcdsaP256, KeyParameters::Rsa2048Pss, KeyParameters::Rsa2048Pkcs1_5];
    let case = |kind| {
        let key = KeyPair::generate(kind).unwrap();
        let mut message = MessageBuilder::new();
        for (kind, key) in [
            (TokenBindingType::Provided, &key),
            (TokenBindingType::Referred, &keys().elsewhere),
            (TokenBindingType::Other(9), &keys().b),
        ] {
            tokbind::binding::push(&mut message, kind, key, &ekm).unwrap();
        }
        (message.to_field_value().unwrap(), context(kind, &ekm))
    };
    kinds.into_iter().map(case).collect()
}

#[test]
fn agrees_on_messages_with_any_octet_changed_lost_or_added() {
    for (message, context) in sound() {
        let octets = base64url::decode(message.as_bytes()).unwrap();
        let mut cases = vec![(message.clone(), context.clone())];
        for place in 0..octets.len() {
            let mut flipped = octets.clone();
            flipped[place] ^= 1 << (place % 8);
            let mut longer = octets.clone();
            longer.insert(place, 0);
            let shorter = [&octets[..place], &octets[place + 1..]].concat();
            for damaged in [flipped, longer, shorter, octets[..place].to_vec()] {
                cases.push((base64url::encode(&damaged), context.clone()));
            }
        }
        // The sound one, and those where another binding than the provided one has key parameters now that nobody knows.
        let accepted = agree(&cases);
        assert!((1..=3).contains(&accepted), "{accepted}");
    }
}

#[test]
fn agrees_on_texts_that_are_not_canonical_and_on_damaged_contexts() {
    let (message, context) = sound().remove(0);
    let mut cases = Vec::new();
    for damage in ["", "=", "==", " ", "\n", "\t", ",", "A", "AAAA", "\u{e9}", "\0", "%3D"] {
        cases.push((message.clone() + damage, context.clone()));
        cases.push((damage.to_owned() + &message, context.clone()));
        cases.push((message.clone(), context.clone() + damage));
        cases.push((message.clone(), damage.to_owned() + &context));
    }
    let twice =
        [format!("{message}, {message}"), format!("{message},{message}"), String::new(), ",".to_owned()];
    cases.extend(twice.map(|text| (text, context.clone())));
    let standard = openssl::base64::encode_block(&base64url::decode(message.as_bytes()).unwrap());
    cases.push((standard, context.clone()));
    let octets = base64url::decode(context.as_bytes()).unwrap();
    for place in 0..octets.len() {
        let mut flipped = octets.clone();
        flipped[place] ^= 1 << (place % 8);
        cases.push((message.clone(), base64url::encode(&flipped)));
        cases.push((message.clone(), base64url::encode(&octets[..place])));
    }
    // Unused bits of the last character: 47 characters are 282 bits, two more than 35 octets need.
    let last = context.chars().last().unwrap();
    for other in ('A'..='Z').chain('a'..='z').filter(|other| *other != last) {
        cases.push((message.clone(), format!("{}{other}", &context[..context.len() - 1])));
    }
    // Undamaged: the four ends where nothing was added.
    assert_eq!(agree(&cases), 4);
}

#[test]
fn agrees_on_numbers_of_bindings() {
    let ekm = Ekm::new([9; 32]);
    let key = &keys().a;
    let cases: Vec<Case> = [
        &[0][..],
        &[1],
        &[2],
        &[0, 0],
        &[0, 1],
        &[1, 0],
        &[0, 1, 1],
        &[0, 2, 2, 255],
        &[0; 8],
        &[0, 1, 2, 2, 2, 2, 2, 2],
        &[0, 1, 2, 2, 2, 2, 2, 2, 2],
    ]
    .iter()
    .map(|types| {
        let mut message = MessageBuilder::new();
        for code in *types {
            tokbind::binding::push(&mut message, TokenBindingType::from(*code), key, &ekm).unwrap();
        }
        (message.to_field_value().unwrap(), context(KeyParameters::EcdsaP256, &ekm))
    })
    .collect();
    assert_eq!(agree(&cases), 5);
    // Nobody knows the key parameters of the second one, but its signature is shorter than any may be.
    let signature = key.sign(0, &ekm).unwrap();
    let beside = |length| {
        let mut message = MessageBuilder::new();
        message.push(0, &key.id(), &signature, &[]).unwrap();
        message.push(5, &[99, 0, 0], &vec![1; length], &[]).unwrap();
        (message.to_field_value().unwrap(), context(KeyParameters::EcdsaP256, &ekm))
    };
    assert_eq!(agree(&[beside(64), beside(63)]), 1);
}

/// Somebody finds a way past httpd to a backend that verifies by itself, and knows the owner's cookie, ID and messages.
#[test]
fn past_the_proxy_only_message_and_context_of_one_connection_count() {
    let backend = Application::node(&["--verify"]);
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .tls_config("TokenBindingPassVar context")
        .tls_config(&format!("ProxyPass / http://127.0.0.1:{}/", backend.port()))
        .start();
    let (mut owner, other) = (Bound::open(&server), Bound::open(&server));
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {}\r\nContent-Length: 10\r\n\r\nuser=alice",
        owner.message()
    );
    let answer = owner.exchange(&request).unwrap();
    let cookie = answer.header("Set-Cookie").and_then(|cookie| cookie.split(';').next()).expect("a session");
    let cookie = format!("Cookie: {cookie}");
    assert_eq!(owner.get("/", &[&cookie]).status, 200);
    let fields = |client: &Bound| {
        let context = context(KeyParameters::EcdsaP256, &client.stream().ekm().unwrap());
        (format!("Sec-Token-Binding: {}", client.message()), format!("Token-Binding-Context: {context}"))
    };
    let (own, others) = (fields(&owner), fields(&other));
    let claim = format!("Sec-Provided-Token-Binding-ID: {}", id(&keys().a));
    for (status, lines) in [
        (401, vec![claim.as_str()]),
        (401, vec![&claim, &own.1]),
        (400, vec![&own.0]),
        (400, vec![&own.0, "Token-Binding-Context: AQAC"]),
        (400, vec![&own.0, &others.1]),
        (400, vec![&others.0, &own.1]),
        (400, vec![&own.0, &own.0, &own.1]),
        (400, vec![&own.0, &own.1, &others.1]),
        // Recorded together: nothing in them says that the connection is another one now.
        (200, vec![&own.0, &own.1]),
    ] {
        let answer =
            get_plain(backend.address(), "localhost", "/", &[&[cookie.as_str()], &lines[..]].concat());
        assert_eq!(answer.status, status, "{lines:?} {answer:?}");
    }
}

/// A message of one provided binding with this ID, and its connection's context.
fn message(kind: KeyParameters, id: &[u8], signature: &[u8]) -> Case {
    let mut message = MessageBuilder::new();
    message.push(0, id, signature, &[]).unwrap();
    (message.to_field_value().unwrap(), context(kind, &EKM))
}

const EKM: Ekm = Ekm::new([5; 32]);

/// A key has one ID. The signatures here are right.
#[test]
fn agrees_on_keys_that_are_written_in_another_way() {
    let (key, id) = loop {
        let key = KeyPair::generate(KeyParameters::EcdsaP256).unwrap();
        let id = key.id().to_vec();
        // RFC 8471 §3.2: key parameters, length (2), length of the point, X, Y.
        if id[36] == 0 {
            break (key, id);
        }
    };
    let signature = key.sign(0, &EKM).unwrap();
    let short = [&[2, 0, 64, 63], &id[4..36], &id[37..]].concat();
    let long = [&[2, 0, 66, 65], &id[4..36], &[0], &id[36..]].concat();
    let mut cases: Vec<Case> =
        [&id, &short, &long].map(|id| message(KeyParameters::EcdsaP256, id, &signature)).into();
    for bits in [2047, 2048] {
        let rsa = Rsa::generate(bits).unwrap();
        let (modulus, exponent) = (rsa.n().to_vec(), rsa.e().to_vec());
        let signing = PKey::from_rsa(rsa).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &signing).unwrap();
        let signature = signer.sign_oneshot_to_vec(&signature_input(0, 0, &EKM)).unwrap();
        for zeros in [0, 1] {
            let modulus = [&vec![0; zeros], &modulus[..]].concat();
            let (all, length) = (modulus.len() + 3 + exponent.len(), modulus.len());
            let octets = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
            let id = [&[0], &octets(all)[..], &octets(length), &modulus, &[3], &exponent].concat();
            cases.push(message(KeyParameters::Rsa2048Pkcs1_5, &id, &signature));
        }
    }
    assert_eq!(agree(&cases), 2, "one of each kind");
}

/// Whatever a context says was negotiated: key parameters that nobody knows prove nothing.
#[test]
fn agrees_that_unknown_key_parameters_prove_nothing() {
    let key = KeyPair::generate(KeyParameters::EcdsaP256).unwrap();
    let id = [&[7], &key.id()[1..]].concat();
    let (message, _) = message(KeyParameters::EcdsaP256, &id, &[1; 64]);
    let context = base64url::encode(&[&[1, 0, 7], &EKM.as_bytes()[..]].concat());
    assert_eq!(agree(&[(message, context)]), 0);
}
