//! A folder of certificates, minted for one test.

use std::fs;
use std::path::PathBuf;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509NameBuilder};

/// Holds, each as NAME.pem and NAME.key: `ca`, `server` (for localhost and 127.0.0.1), `elsewhere` (for another host),
/// `client`, all issued by `ca`, and `stranger`, a CA that issued nothing. `locked.key` is the client's with a passphrase.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub fn mint() -> Self {
        let folder = Self { folder: tempfile::tempdir().unwrap() };
        let ca = folder.issue("ca", "", None);
        folder.issue("stranger", "", None);
        folder.issue("server", "DNS:localhost,IP:127.0.0.1", Some(&ca));
        folder.issue("elsewhere", "DNS:elsewhere.test", Some(&ca));
        let (_, key) = folder.issue("client", "DNS:client.test", Some(&ca));
        let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"passphrase").unwrap();
        fs::write(folder.file("locked.key"), locked).unwrap();
        folder
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `names` as in OpenSSL's configuration; none: a CA.
    fn issue(
        &self,
        name: &str,
        names: &str,
        issuer: Option<&(X509, PKey<Private>)>,
    ) -> (X509, PKey<Private>) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let subject = subject(name);
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap(); // X.509 v3
        let mut serial = BigNum::new().unwrap();
        serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
        builder.set_serial_number(serial.to_asn1_integer().unwrap().as_ref()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder
            .set_issuer_name(issuer.map_or(&*subject, |(certificate, _)| certificate.subject_name()))
            .unwrap();
        builder.set_not_before(Asn1Time::days_from_now(0).unwrap().as_ref()).unwrap();
        builder.set_not_after(Asn1Time::days_from_now(2).unwrap().as_ref()).unwrap();
        builder.set_pubkey(&key).unwrap();
        if names.is_empty() {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        } else {
            let context = builder.x509v3_context(None, None);
            let mut alternatives = SubjectAlternativeName::new();
            for name in names.split(',') {
                match name.split_once(':').unwrap() {
                    ("IP", address) => alternatives.ip(address),
                    (_, host) => alternatives.dns(host),
                };
            }
            let extension = alternatives.build(&context).unwrap();
            builder.append_extension(extension).unwrap();
        }
        builder.sign(issuer.map_or(&key, |(_, key)| key), MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        fs::write(self.file(&format!("{name}.pem")), certificate.to_pem().unwrap()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        (certificate, key)
    }
}

fn subject(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}
