//! The command without a network: exit codes, JSON, vectors. What is asserted here is an interface; see docs/tokbind.md.

use openssl::x509::X509;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What an invocation of the command left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn tokbind<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Run {
    let command = env!("CARGO_BIN_EXE_tokbind");
    let Output { status, stdout, stderr } =
        Command::new(command).args(arguments).stdin(Stdio::null()).output().unwrap();
    let run = Run {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    };
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    assert!(!run.stderr.contains('\x1b'), "colours are for terminals: {run:?}");
    run
}

fn fails(code: i32, because: &str, arguments: &[&str]) {
    let run = tokbind(arguments);
    assert_eq!(run.code, code, "{arguments:?} {run:?}");
    assert!(run.stderr.contains(because), "{arguments:?} {run:?}");
}

/// RFC 8471 has no message with its keying material; this is one of our own, from `own.json`.
fn sample() -> Value {
    own_vectors().remove(0)
}

fn own_vectors() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../token-binding/tests/vectors/own.json");
    let own: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    own["messages"].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap()
}

fn negotiated_name(vector: &Value) -> &'static str {
    ["rsa2048_pkcs1.5", "rsa2048_pss", "ecdsap256"]
        [usize::try_from(vector["negotiated_key_parameters"].as_u64().unwrap()).unwrap()]
}

/// `tokbind verify --json` for a vector.
fn verify(vector: &Value) -> Run {
    let header = text(vector, "sec_token_binding");
    let name = negotiated_name(vector);
    tokbind(&["verify", "--json", "--ekm", text(vector, "ekm_b64u"), "--key-parameters", name, header])
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let sample = sample();
    let header = text(&sample, "sec_token_binding");
    let ekm = text(&sample, "ekm_b64u");
    fails(2, "Usage: tokbind", &[]);
    fails(2, "--duration", &["bench", "--requests", "1", "--duration", "1", "https://localhost/"]);
    fails(2, "--connections", &["bench", "--connections", "0", "https://localhost/"]);
    fails(2, "--expect", &["bench", "--expect", "99", "https://localhost/"]);
    fails(2, "--ekm", &["verify", "--key-parameters", "ecdsap256", header]);
    fails(2, "43 characters", &["verify", "--ekm", "AAAA", "--key-parameters", "ecdsap256", header]);
    fails(2, "not base64url", &["verify", "--ekm", "A+AA", "--key-parameters", "ecdsap256", header]);
    fails(2, "rsa2048_pkcs1.5", &["verify", "--ekm", ekm, "--key-parameters", "p256", header]);
    fails(2, "rsa2048_pkcs1.5", &["keygen", "--key-parameters", "ed25519"]);
    fails(2, "/nowhere/key.pem", &["id", "/nowhere/key.pem"]);
    fails(2, "private key", &["id", "/dev/null"]);
    fails(2, "no certificate", &["thumbprint", "/dev/null"]);
    fails(2, "Token Binding needs https", &["get", "http://localhost/"]);
    fails(2, "https://", &["get", "localhost"]);
    fails(2, "--header", &["get", "https://user:secret@localhost/"]);
    fails(2, "Name: value", &["get", "-H", "nothing", "https://localhost/"]);
    fails(2, "--tls1.3", &["get", "--tls1.2", "--tls1.3", "https://localhost/"]);
    fails(2, "--http1.1", &["get", "--http1.1", "--http2", "https://localhost/"]);
    fails(2, "--no-token-binding", &["get", "--no-token-binding", "--key", "k", "https://localhost/"]);
    fails(2, "named twice", &["get", "--key-parameters", "ecdsap256,ecdsap256", "https://localhost/"]);
    fails(2, "HOST:PORT", &["get", "--connect", "localhost", "https://localhost/"]);
    fails(2, "/nowhere/ca", &["get", "--cacert", "/nowhere/ca", "https://localhost/"]);
    fails(2, "--cert-key", &["get", "--cert", "/dev/null", "https://localhost/"]);
    fails(2, "--cert", &["get", "--cert-key", "/dev/null", "https://localhost/"]);
    fails(2, "--repeat", &["get", "--repeat", "0", "https://localhost/"]);
    fails(2, "control characters", &["get", "--bearer", "a\nb", "https://localhost/"]);
}

#[test]
fn help_is_0_and_has_examples() {
    for arguments in [
        vec!["--help"],
        vec!["get", "--help"],
        vec!["bench", "--help"],
        vec!["verify", "--help"],
        vec!["keygen", "--help"],
    ] {
        let run = tokbind(&arguments);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("Example"), "{run:?}");
    }
    assert!(tokbind(&["--version"]).stdout.starts_with("tokbind "));
}

#[test]
fn keys_are_made_and_identified() {
    let directory = tempfile::tempdir().unwrap();
    for (name, length) in [("ecdsap256", 91), ("rsa2048_pss", 354), ("rsa2048_pkcs1.5", 354)] {
        let file = directory.path().join(name);
        let path = file.to_str().unwrap();
        let made = tokbind(&["keygen", "--key-parameters", name, "--out", path]);
        assert_eq!((made.code, made.stderr.as_str()), (0, ""));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let document = tokbind(&["id", "--json", "--key-parameters", name, path]).json();
        let members = document.as_object().unwrap().keys().collect::<Vec<_>>();
        assert_eq!(members, ["id", "key_parameters", "tbh"]);
        assert_eq!(document["key_parameters"], name);
        assert_eq!(text(&document, "id").len(), length);
        assert_eq!(text(&document, "tbh").len(), 43);
        assert!(made.stdout.contains(text(&document, "id")) && made.stdout.contains(text(&document, "tbh")));
        // An existing key is never overwritten.
        fails(2, path, &["keygen", "--out", path]);
    }
    let ec = directory.path().join("ecdsap256");
    fails(2, "does not fit", &["id", "--key-parameters", "rsa2048_pss", ec.to_str().unwrap()]);
    let rsa = directory.path().join("rsa2048_pkcs1.5");
    assert_eq!(tokbind(&["id", "--json", rsa.to_str().unwrap()]).json()["key_parameters"], "rsa2048_pss");
    let printed = tokbind(&["keygen"]);
    assert!(printed.stdout.starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

#[test]
fn thumbprints() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, _) = crate::server::self_signed("localhost");
    let expected = token_binding::base64url::encode(&openssl::sha::sha256(&certificate.to_der().unwrap()));
    let (other, _) = crate::server::self_signed("other.test");
    let both = [certificate.to_pem().unwrap(), other.to_pem().unwrap()].concat();
    for (name, octets) in [("pem", both), ("der", certificate.to_der().unwrap())] {
        let file = directory.path().join(name);
        std::fs::write(&file, octets).unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(tokbind(&["thumbprint", path]).stdout, format!("{expected}\n"));
        assert_eq!(tokbind(&["thumbprint", "--json", path]).json(), json!({ "x5t#S256": expected }));
    }
}

#[test]
fn decode_tells_what_is_in_a_message() {
    let sample = sample();
    let header = text(&sample, "sec_token_binding");
    let run = tokbind(&["decode", "--json", header]);
    let document = run.json();
    assert_eq!((run.code, &document["length"]), (0, &json!(139)));
    let [binding] = document["bindings"].as_array().unwrap().as_slice() else { panic!("{document}") };
    let members = binding.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        members,
        [
            "extensions",
            "id",
            "key_parameters",
            "key_parameters_code",
            "signature",
            "tbh",
            "type",
            "type_name"
        ]
    );
    assert_eq!(binding["id"], sample["provided_b64u"]);
    assert_eq!(
        (&binding["type"], &binding["type_name"], &binding["key_parameters_code"], &binding["extensions"]),
        (&json!(0), &json!("provided"), &json!(2), &json!([]))
    );
    let words = tokbind(&["decode", header]);
    for word in ["139 octets", "provided", "ecdsap256", "not checked", text(&sample, "provided_b64u")] {
        assert!(words.stdout.contains(word), "{words:?}");
    }
    let extended = own_vectors().into_iter().find(|vector| vector["id"] == "unknown-extensions").unwrap();
    let document = tokbind(&["decode", "--json", text(&extended, "sec_token_binding")]).json();
    let extensions = document["bindings"][0]["extensions"].as_array().unwrap();
    assert!(extensions[0]["type"].is_u64() && extensions[0]["data"].is_string(), "{document}");
    fails(1, "base64url", &["decode", "A+A"]);
    fails(1, "tokenbindings", &["decode", "AAAA"]);
    fails(1, "more than one", &["decode", &format!("{header}, {header}")]);
    fails(1, "empty", &["decode", ""]);
}

#[test]
fn verify_exposes_what_is_proven_and_says_why_not() {
    let sample = sample();
    let run = verify(&sample);
    let document = run.json();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let members = document.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(members, ["other", "provided", "referred", "valid"]);
    assert_eq!(document["valid"], true);
    assert_eq!(document["provided"]["id"], sample["provided_b64u"]);
    assert_eq!(text(&document["provided"], "tbh").len(), 43);
    assert_eq!((&document["referred"], &document["other"]), (&Value::Null, &json!([])));
    let types = own_vectors().into_iter().find(|vector| vector["id"] == "unknown-types").unwrap();
    let document = verify(&types).json();
    assert_eq!(document["other"][0]["type"], types["other"][0][0]);
    assert_eq!(document["other"][0]["id"], types["other"][0][1]);

    let stranger = json!({ "ekm_b64u": "A".repeat(43), "negotiated_key_parameters": 2,
        "sec_token_binding": sample["sec_token_binding"] });
    let run = verify(&stranger);
    assert_eq!(
        (run.code, run.json()),
        (1, json!({ "valid": false, "label": "invalid-signature", "reason": "invalid signature" }))
    );
    assert!(run.stderr.contains("invalid signature"));
    let ekm = text(&sample, "ekm_b64u");
    let header = text(&sample, "sec_token_binding");
    let words = tokbind(&["verify", "--ekm", ekm, "--key-parameters", "ecdsap256", header]);
    assert!(words.stdout.starts_with("valid\n") && words.stdout.contains(text(&sample, "provided_b64u")));
    let words = tokbind(&["verify", "--ekm", ekm, "--key-parameters", "rsa2048_pss", header]);
    assert_eq!((words.code, words.stdout.as_str()), (1, ""));
}

#[test]
fn values_may_begin_with_hyphens() {
    let header = format!("-{}", "A".repeat(8));
    for ekm in
        [format!("-{}", "A".repeat(42)), format!("--{}", "A".repeat(41)), format!("-h{}", "A".repeat(41))]
    {
        fails(1, "invalid: ", &["verify", "--ekm", &ekm, "--key-parameters", "ecdsap256", &header]);
    }
    for header in ["-AAA", "--AAAAAA", "-hAA", "---A"] {
        fails(1, "tokenbindings", &["decode", header]);
        fails(1, "tokenbindings", &["decode", "--json", header]);
    }
}

#[test]
fn own_vectors_are_judged_as_written() {
    let mut judged = 0;
    // An argument cannot hold a NUL.
    for vector in own_vectors().iter().filter(|vector| !text(vector, "sec_token_binding").contains('\0')) {
        let (run, outcome) = (verify(vector), text(vector, "outcome"));
        let document = run.json();
        let label = if document["valid"] == true { "accept" } else { text(&document, "label") };
        assert_eq!(label, outcome, "{}", vector["id"]);
        assert_eq!(run.code, i32::from(outcome != "accept"), "{}", vector["id"]);
        judged += 1;
    }
    assert!(judged > 100);
}

#[test]
fn the_manual_names_every_label() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tokbind.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    for vector in own_vectors() {
        let label = text(&vector, "outcome");
        assert!(label == "accept" || manual.contains(&format!("`{label}`")), "{label}");
    }
}

/// The published vectors lie beside the project, not in it.
fn published_vectors() -> Option<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/vectors.json");
    let Ok(octets) = std::fs::read(&file) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing", file.display());
        eprintln!("NOTE: {} is not there; the published vectors did not run", file.display());
        return None;
    };
    Some(serde_json::from_slice(&octets).unwrap())
}

#[test]
fn published_messages_are_judged_as_specified() {
    let Some(vectors) = published_vectors() else { return };
    for vector in vectors["token_binding_messages"].as_array().unwrap() {
        let id = text(vector, "id");
        match text(vector, "computed_outcome") {
            "unverifiable" => {
                let document = tokbind(&["decode", "--json", text(vector, "sec_token_binding")]).json();
                let binding = &vector["bindings"][0];
                assert_eq!(document["bindings"][0]["id"], binding["token_binding_id_b64u"], "{id}");
                assert_eq!(document["bindings"][0]["tbh"], binding["tbh"], "{id}");
            }
            outcome => {
                let run = verify(vector);
                assert_eq!(run.code, i32::from(outcome != "accept"), "{id} {run:?}");
                assert_eq!(run.json()["valid"], outcome == "accept", "{id}");
            }
        }
    }
}

#[test]
fn published_certificates_have_the_published_thumbprints() {
    let Some(vectors) = published_vectors() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("certificate.pem");
    let mut judged = 0;
    for vector in vectors["rfc8705"].as_array().unwrap() {
        let (Some(pem), Some(thumbprint)) = (vector["pem"].as_str(), vector["x5t_S256"].as_str()) else {
            continue;
        };
        X509::from_pem(pem.as_bytes()).unwrap();
        std::fs::write(&file, pem).unwrap();
        assert_eq!(tokbind(&["thumbprint", file.to_str().unwrap()]).stdout.trim(), thumbprint);
        judged += 1;
    }
    assert!(judged > 0);
}
