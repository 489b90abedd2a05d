//! The certificates of a test run, minted once per process.

use std::path::Path;
use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use super::site;

/// A certificate and its private key (P-256).
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Identity {
    pub fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("a certificate has a PEM form")
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("a key has a PEM form")
    }
}

/// Everybody in the play.
pub struct Pki {
    pub ca: Identity,
    /// For `localhost`, `*.test` and 127.0.0.1, issued by `ca`.
    pub server: Identity,
    /// Two clients, issued by `ca`.
    pub client_a: Identity,
    pub client_b: Identity,
    /// A client that only vouches for itself.
    pub self_signed: Identity,
}

impl Pki {
    fn mint() -> Self {
        let ca = mint("test CA", Role::Authority, None);
        Self {
            server: mint("localhost", Role::Server, Some(&ca)),
            client_a: mint("client A", Role::Client, Some(&ca)),
            client_b: mint("client B", Role::Client, Some(&ca)),
            self_signed: mint("self-signed client", Role::Client, None),
            ca,
        }
    }

    /// Writes `ca`, `server`, `client_a`, `client_b`, `self_signed`, each as NAME.pem and NAME.key.
    pub fn write_to(&self, folder: &Path) {
        site::make_folder(folder);
        for (name, identity) in [
            ("ca", &self.ca),
            ("server", &self.server),
            ("client_a", &self.client_a),
            ("client_b", &self.client_b),
            ("self_signed", &self.self_signed),
        ] {
            site::write(&folder.join(format!("{name}.pem")), &identity.certificate_pem(), 0o644);
            site::write(&folder.join(format!("{name}.key")), &identity.key_pem(), 0o600);
        }
    }
}

/// The certificates of this process.
pub fn pki() -> &'static Pki {
    static PKI: LazyLock<Pki> = LazyLock::new(Pki::mint);
    &PKI
}

/// One more client that only vouches for itself.
pub fn self_signed(common_name: &str) -> Identity {
    mint(common_name, Role::Client, None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Authority,
    Server,
    Client,
}

fn mint(common_name: &str, role: Role, issuer: Option<&Identity>) -> Identity {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL knows P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a new key")).expect("an EC key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).expect("a common name");
    let name = name.build();
    let mut builder = X509::builder().expect("a certificate");
    let mut serial = BigNum::new().expect("a number");
    serial.rand(127, MsbOption::MAYBE_ZERO, false).expect("a random number");
    let build = |builder: &mut X509Builder| -> Result<(), openssl::error::ErrorStack> {
        builder.set_version(2)?; // X.509 v3
        builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name()))?;
        builder.set_not_before(Asn1Time::from_unix(now() - 3600)?.as_ref())?;
        builder.set_not_after(Asn1Time::days_from_now(2)?.as_ref())?;
        builder.set_pubkey(&key)?;
        extend(builder, role, issuer)?;
        builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256())
    };
    build(&mut builder).expect("a certificate can be made");
    Identity { certificate: builder.build(), key }
}

fn extend(
    builder: &mut X509Builder,
    role: Role,
    issuer: Option<&Identity>,
) -> Result<(), openssl::error::ErrorStack> {
    match role {
        Role::Authority => {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        }
        Role::Server => {
            builder.append_extension(BasicConstraints::new().build()?)?;
            builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
            let context = builder.x509v3_context(issuer.map(|issuer| issuer.certificate.as_ref()), None);
            let names = SubjectAlternativeName::new()
                .dns("localhost")
                .dns("*.test")
                .ip("127.0.0.1")
                .build(&context)?;
            builder.append_extension(names)?;
        }
        Role::Client => {
            builder.append_extension(BasicConstraints::new().build()?)?;
            builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
        }
    }
    Ok(())
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the year 292277026596")
}
