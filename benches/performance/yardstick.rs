//! What a signature verification and an exporter call cost in the same OpenSSL, counted in the same way.

use std::fs;
use std::hint::black_box;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;

use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, EcPoint, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use openssl::ssl::{SslAcceptor, SslConnector, SslMethod, SslRef, SslVerifyMode};

use crate::common::pki;
use crate::profile::total;
use crate::tokens;

/// Instructions of one operation.
#[derive(Clone, Copy)]
pub struct Yardsticks {
    /// EVP_DigestVerify with a P-256 key that is ready.
    pub p256: f64,
    /// SSL_export_keying_material, TLS 1.3.
    pub exporter: f64,
    /// EVP_DigestVerify with an RSA key of 2048 bits that is ready.
    pub rs256: f64,
}

impl Yardsticks {
    pub fn measure() -> Self {
        let p256 = verification(&pki().server.key);
        let rs256 = verification(&tokens::keys().one.private);
        let nowhere = tempfile::tempdir().expect("a temporary folder");
        Self { p256, exporter: count("exporter", nowhere.path()), rs256 }
    }
}

fn verification(key: &PKey<Private>) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    fs::write(folder.path().join("signature"), signer.sign_oneshot_to_vec(DATA).unwrap()).unwrap();
    fs::write(folder.path().join("key.pem"), key.public_key_to_pem().unwrap()).unwrap();
    count("verify", folder.path())
}

/// As long as what a Token Binding signs (RFC 8471 §3.3): type, key parameters, EKM.
const DATA: &[u8] = &[7; 34];

/// Runs this program under callgrind, which counts inside of `measured_NAME` only.
fn count(name: &str, folder: &Path) -> f64 {
    let total = |times: u32| {
        let file = folder.join(format!("callgrind.{times}"));
        let status = Command::new("valgrind")
            .args(["-q", "--tool=callgrind", &format!("--toggle-collect=*measured_{name}*")])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(std::env::current_exe().expect("a path"))
            .args(["yardstick", name])
            .arg(folder)
            .arg(times.to_string())
            .status()
            .expect("valgrind runs (package valgrind)");
        assert!(status.success(), "{name}: {status}");
        total(&fs::read_to_string(&file).expect("callgrind's file")).expect("a count")
    };
    (total(30) - total(10)) / 20.0
}

/// Inside of callgrind.
pub fn run(name: &str, folder: &Path, times: u32) {
    match name {
        "verify" => {
            let key = PKey::public_key_from_pem(&fs::read(folder.join("key.pem")).unwrap()).unwrap();
            let signature = fs::read(folder.join("signature")).unwrap();
            // Not counted: OpenSSL fetches its algorithms the first time.
            assert!(verify(&key, &signature));
            for _ in 0..times {
                measured_verify(&key, &signature);
            }
        }
        "exporter" => exporter(times),
        other => panic!("there is no yardstick {other}"),
    }
}

#[inline(never)]
fn measured_verify(key: &PKey<Public>, signature: &[u8]) {
    black_box(verify(key, signature));
}

fn verify(key: &PKey<Public>, signature: &[u8]) -> bool {
    let mut verifier = Verifier::new(MessageDigest::sha256(), key).unwrap();
    verifier.verify_oneshot(signature, DATA).unwrap()
}

const DIGEST: [u8; 32] = [7; 32];

/// A P-256 key of each thread's own, and a signature.
struct Signed {
    group: EcGroup,
    key: EcKey<Private>,
    signature: EcdsaSig,
    /// The public key, uncompressed.
    point: Vec<u8>,
}

thread_local! {
    static OWN: Signed = {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let signature = EcdsaSig::sign(&DIGEST, &key).unwrap();
        let mut numbers = BigNumContext::new().unwrap();
        let point = key.public_key().to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut numbers).unwrap();
        Signed { group, key, signature, point }
    };
}

/// The arithmetic of a P-256 verification, in which threads share nothing that is not libcrypto's own.
pub fn p256_alone(_number: usize) {
    OWN.with(|own| assert!(own.signature.verify(&DIGEST, &own.key).unwrap()));
}

/// The same with a key object that is made for it, as for a Token Binding message.
pub fn p256_with_key(_number: usize) {
    OWN.with(|own| {
        let mut numbers = BigNumContext::new().unwrap();
        let point = EcPoint::from_bytes(&own.group, &own.point, &mut numbers).unwrap();
        let key = EcKey::from_public_key(&own.group, &point).unwrap();
        assert!(own.signature.verify(&DIGEST, &key).unwrap());
    });
}

/// On the client's side of a connection to another thread; the server's side does the same.
fn exporter(times: u32) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&pki().server.certificate).unwrap();
        acceptor.set_private_key(&pki().server.key).unwrap();
        acceptor.build().accept(far).unwrap()
    });
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = connector.build().connect("localhost", near).unwrap();
    let _server = server.join().unwrap();
    export(stream.ssl());
    for _ in 0..times {
        measured_exporter(stream.ssl());
    }
}

#[inline(never)]
fn measured_exporter(ssl: &SslRef) {
    export(ssl);
}

fn export(ssl: &SslRef) {
    let mut ekm = [0; 32];
    ssl.export_keying_material(&mut ekm, token_binding::EXPORTER_LABEL, None).unwrap();
    black_box(ekm);
}
