//! OpenSSL's functions fail, one after the other, where the module calls them; and its allocations. Whatever happens, nothing is
//! accepted that must not be, nothing crashes, nothing hangs, and afterwards all is as before.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;
use tokbind::tls::{Connector, Offer};
use token_binding::base64url;

use super::sweeps;
use crate::common::bound::{identity, tbh};
use crate::common::configuration::module_file;
use crate::common::exchange::Answer;
use crate::common::{Bound, Builder, Httpd, connector, id, keys, pki};
use crate::oauth2::tokens::{self, bound_to, token};

/// What cannot fail: it gives back what is there, a constant, or nothing at all; it takes over what is given (`set0`), or
/// works in its caller's memory (`SHA256_`). A comparison that
/// says "equal" is no failure.
const INFALLIBLE: [&str; 28] = [
    "_set0",
    "SHA256_",
    "_free",
    "_get_",
    "get0",
    "_up_ref",
    "ERR_",
    "CRYPTO_memcmp",
    "BIO_set_",
    "BIO_clear_flags",
    "BIO_meth",
    "BIO_s_mem",
    "BN_is_",
    "BN_num_bits",
    "_sk_",
    "SSL_version",
    "SSL_is_init_finished",
    "X509_verify_cert_error_string",
    "SSL_get_error",
    "EVP_sha",
    "EVP_aes",
    "TLS_client_method",
    "SSL_set_bio",
    "SSL_CTX_",
    "X509_STORE_",
    "OPENSSL_init",
    "X509_VERIFY_PARAM_set_hostflags",
    "CRYPTO_get_ex_new_index",
];

/// Each stands for one job: keying material, the connection's own data, certificate and thumbprint, signatures, the curve that is
/// made once, sealing, hashes.
/// Which others these requests reach depends on the versions of crates.
const REACHED: [&str; 8] = [
    "SSL_export_keying_material",
    "SSL_set_ex_data",
    "SSL_get1_peer_certificate",
    "X509_digest",
    "EVP_PKEY_verify",
    "EC_GROUP_new_by_curve_name",
    "EVP_EncryptInit_ex",
    "EVP_Q_digest",
];

/// The functions of OpenSSL that the module calls and that can fail.
fn functions() -> Vec<String> {
    let output = Command::new("nm").args(["--dynamic", "--undefined-only"]).arg(module_file()).output();
    let text = String::from_utf8(output.expect("nm runs (binutils)").stdout).expect("text");
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("U ")?.split_once("@OPENSSL_"));
    let names = names.map(|(name, _)| name.to_owned());
    names.filter(|name| !INFALLIBLE.iter().any(|word| name.contains(word))).collect()
}

/// openssl.c, compiled with these functions.
fn shim(functions: &[String]) -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let list: String = functions.iter().map(|name| format!("FUNCTION({name})\n")).collect();
        let (list_file, library) = (folder.path().join("functions"), folder.path().join("openssl.so"));
        fs::write(&list_file, list).expect("our folder");
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-o"])
            .arg(&library)
            .arg(format!("-DFUNCTIONS=\"{}\"", list_file.display()))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/httpd/faults/openssl.c"))
            .args(["-lcrypto", "-ldl"])
            .status();
        assert!(done.expect("cc runs").success());
        (folder, library)
    });
    library
}

/// `struct control` of openssl.c.
struct Control {
    file: tempfile::NamedTempFile,
}

impl Control {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(16).expect("our own file");
        Self { file }
    }

    fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Each `every`th call of this function fails from now on.
    fn fail(&self, function: i32, every: i32) {
        let octets = [0, every, 0, 0, function].map(i32::to_ne_bytes);
        self.file().write_all_at(&octets[..4].concat(), 0).expect("our own file");
        self.file().write_all_at(&octets[4], 0).expect("our own file");
    }

    /// All goes well again; how many calls failed.
    fn recover(&self) -> i32 {
        self.file().write_all_at(&0_i32.to_ne_bytes(), 0).expect("our own file");
        let mut octets = [0; 4];
        self.file().read_exact_at(&mut octets, 12).expect("our own file");
        i32::from_ne_bytes(octets)
    }
}

fn server(control: &Control) -> Httpd {
    let place = |name: &str, verifier: &str| {
        format!(
            "<Location /{name}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n{verifier}\n</Location>\n"
        )
    };
    let builder: Builder = Httpd::builder()
        .load(&["authz_user", "headers"])
        .environment("LD_PRELOAD", &shim(&functions()).display().to_string())
        .environment("FAULT_CONTROL", &control.file.path().display().to_string())
        .value("one", tokens::keys().one.quoted())
        .value("ec", tokens::keys().ec.quoted())
        .config("OAuth2CryptoPassphrase \"correct horse battery staple\"\nOAuth2Cache shm encrypt=on")
        .config(&place("mtls", "OAuth2TokenVerify jwk {one} type=mtls"))
        .config(&place("bearer", "OAuth2TokenVerify jwk {one} verify.cache=default\nOAuth2TokenVerify jwk {ec}"))
        .config("<Location /private>\nRequire token-binding\n</Location>\n<Location /forward>\nClientCertForward Chain\n</Location>")
        .config("AliasMatch \"^/[a-z]+/hello$\" \"{docroot}/hello.txt\"")
        .config("Header always set X-Provided \"%{Sec-Provided-Token-Binding-ID}e\"")
        .config("Header always set X-Certificate \"%{TB_SSL_CLIENT_CERT_FINGERPRINT}e\"")
        .tls_config("SSLVerifyClient optional_no_ca")
        .allow_log("token_binding:error")
        .allow_log("token_binding:warn")
        .allow_log("ssl:")
        .allow_log("AH01630");
    builder.start()
}

/// What one request came to; a connection that is refused is an answer too.
fn ask(
    connector: &Connector,
    server: &Httpd,
    path: &str,
    message: Option<&str>,
    token: Option<&str>,
) -> Option<Answer> {
    let start = Instant::now();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let answer = connector.connect(server.tls(), "localhost").ok().and_then(|connection| {
        let mut client = Bound::over(connection, "localhost");
        let message = message.map_or_else(|| client.message(), str::to_owned);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {message}\r\n{token}\r\n");
        client.exchange(&request).ok()
    });
    // The client's own limit: what is longer hangs.
    assert!(start.elapsed() < Duration::from_secs(10), "{path}: {:?}", start.elapsed());
    answer
}

/// Clients of all kinds, some with what is not theirs.
struct Clients {
    bound: Connector,
    /// With certificate A and without Token Binding.
    certified: Connector,
    stolen: String,
}

impl Clients {
    fn new(server: &Httpd) -> Self {
        let bound = connector().build().expect("a connector");
        let certified = connector().offer(Offer::None).identity(identity(&pki().client_a)).build();
        let stolen = Bound::open(server).message();
        Self { bound, certified: certified.expect("a connector"), stolen }
    }

    /// Answers to those who are in the right. Each token is new: nobody remembers it.
    fn honest(&self, server: &Httpd) -> Vec<Option<Answer>> {
        let ec = tokens::keys().ec.token(&tokens::claims(json!({"sub": "eve"})));
        let tb = token(json!({"cnf": {"tbh": tbh(&keys().a)}, "jti": serial()}));
        let bearer = token(json!({"jti": serial()}));
        let mtls = token(bound_to(&pki().client_a));
        vec![
            ask(&self.bound, server, "/private/hello", None, None),
            ask(&self.bound, server, "/bearer/hello", None, Some(&tb)),
            ask(&self.bound, server, "/bearer/hello", None, Some(&bearer)),
            ask(&self.bound, server, "/bearer/hello", None, Some(&ec)),
            ask(&self.certified, server, "/mtls/hello", None, Some(&mtls)),
            ask(&self.certified, server, "/forward/hello", None, None),
        ]
    }

    /// Answers to those who are not.
    fn hostile(&self, server: &Httpd) -> Vec<Option<Answer>> {
        let tampered = token(json!({"jti": serial()}));
        let (rest, _) = tampered.rsplit_once('.').expect("a JWT");
        let tampered = format!("{rest}.{}", base64url::encode(&[7; 256]));
        let stranger = tokens::keys().stranger.token(&tokens::claims(json!({})));
        let others = token(json!({"cnf": {"tbh": tbh(&keys().b)}, "jti": serial()}));
        let theirs = token(bound_to(&pki().client_b));
        vec![
            ask(&self.bound, server, "/private/hello", Some(&self.stolen), None),
            ask(&self.bound, server, "/bearer/hello", None, Some(&tampered)),
            ask(&self.bound, server, "/bearer/hello", None, Some(&stranger)),
            ask(&self.bound, server, "/bearer/hello", None, Some(&others)),
            ask(&self.certified, server, "/mtls/hello", None, Some(&theirs)),
            ask(&self.certified, server, "/bearer/hello", None, Some(&theirs)),
            ask(&self.certified, server, "/private/hello", Some(&self.stolen), None),
        ]
    }
}

fn serial() -> String {
    let mut octets = [0; 8];
    openssl::rand::rand_bytes(&mut octets).expect("random octets");
    base64url::encode(&octets)
}

/// What an answer says about the client is true, or nothing.
fn is_true(answer: &Answer) -> bool {
    let own =
        [id(&keys().a), bound_to(&pki().client_a)["cnf"]["x5t#S256"].as_str().expect("text").to_owned()];
    ["X-Provided", "X-Certificate"]
        .iter()
        .zip(own)
        .all(|(name, own)| answer.header(name).is_none_or(|value| value == "(null)" || value == own))
}

/// What was seen, for docs/security-testing.md.
#[derive(Default, Debug)]
struct Seen {
    /// Points of failure that the requests reached.
    points: usize,
    failures: i32,
    /// Outcomes for those who are in the right.
    right: usize,
    refused: usize,
    /// No connection, or one that ended.
    unanswered: usize,
}

impl Seen {
    /// Clients of all kinds while `what` fails, as `control` was told; how many calls failed.
    fn under(&mut self, server: &Httpd, clients: &Clients, control: &Control, what: &str) -> i32 {
        let (hostile, honest) = (clients.hostile(server), clients.honest(server));
        let failures = control.recover();
        assert!(!server.log().contains("exit signal"), "{what}: a process died");
        for answer in hostile.iter().flatten() {
            assert!((400..=503).contains(&answer.status) && is_true(answer), "{what}: {answer:?}");
        }
        for (number, answer) in honest.iter().enumerate() {
            let Some(answer) = answer else { continue };
            assert!(is_true(answer), "{what}: {answer:?}");
            // The place for bound requests only.
            let bound = answer.header("X-Provided") != Some("(null)");
            assert!(number != 0 || answer.status != 200 || bound, "{what}: {answer:?}");
        }
        if failures > 0 {
            self.points += 1;
            self.failures += failures;
            let right = honest.iter().flatten().filter(|answer| answer.status == 200).count();
            self.right += right;
            self.refused += honest.iter().flatten().count() - right;
            self.unanswered += honest.iter().filter(|answer| answer.is_none()).count();
        }
        failures
    }
}

fn all_is_well(server: &Httpd, clients: &Clients, after: &str) {
    for (number, answer) in clients.honest(server).iter().enumerate() {
        assert_eq!(
            answer.as_ref().map(|answer| answer.status),
            Some(200),
            "{number} after {after}: {answer:?}"
        );
    }
    for answer in clients.hostile(server) {
        assert!(
            answer.as_ref().is_some_and(|answer| [400, 401, 403].contains(&answer.status)),
            "after {after}: {answer:?}"
        );
    }
}

#[test]
fn each_function_of_openssl_fails() {
    let (control, functions) = (Control::new(), functions());
    let mut server = server(&control);
    let clients = Clients::new(&server);
    all_is_well(&server, &clients, "the start");
    let (mut seen, mut failed) = (Seen::default(), Vec::new());
    let in_a_hurry = |name: &String| super::thorough() || REACHED.contains(&name.as_str());
    for (name, number) in functions.iter().zip(2..).filter(|(name, _)| in_a_hurry(name)) {
        // What a process does only once is still to be done.
        server.hard_restart();
        let mut failures = 0;
        for every in sweeps(&[1], 3) {
            control.fail(number, every);
            failures += seen.under(&server, &clients, &control, &format!("{name}, each {every}th"));
        }
        if failures > 0 {
            all_is_well(&server, &clients, name);
            failed.push(name.as_str());
        }
    }
    println!("{} of {} functions failed: {failed:?}; {seen:?}", failed.len(), functions.len());
    for needed in REACHED {
        assert!(failed.contains(&needed), "{needed} did not fail: {failed:?}");
    }
}

#[test]
fn allocations_of_openssl_fail() {
    let control = Control::new();
    let mut server = server(&control);
    let clients = Clients::new(&server);
    let mut seen = Seen::default();
    for every in sweeps(&[1, 3, 8, 21], 60) {
        let what = format!("each {every}th allocation");
        control.fail(1, every);
        seen.under(&server, &clients, &control, &what);
        all_is_well(&server, &clients, &what);
        server.hard_restart();
    }
    println!("allocations: {seen:?}");
    assert!(seen.failures > 20, "{seen:?}");
}
