//! How this server authenticates itself at an introspection endpoint (`introspect.auth`; RFC 6749 §2.3.1, RFC 7523 §2.2,
//! RFC 8705 §2).

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::rsa::RsaPrivateKeyBuilder;
use serde_json::json;
use token_binding::base64url;
use zeroize::Zeroizing;

use crate::form;
use crate::json::{self, Object};
use crate::options::{OptionError, Options};
use crate::provider;
use crate::refusal::Outage;

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good, in seconds.
const ASSERTION_LIFETIME: i64 = 60;

/// A method with its credentials. Nothing of it can be printed.
pub enum ClientAuth {
    /// The endpoint wants none.
    None,
    /// A ready `Authorization` value: `client_secret_basic` or `basic`.
    Authorization(Zeroizing<String>),
    /// `client_secret_post`.
    SecretPost {
        /// Name.
        id: String,
        /// Secret.
        secret: Zeroizing<String>,
    },
    /// `client_secret_jwt` or `private_key_jwt`.
    Assertion(Box<Assertion>),
    /// `client_cert`: by TLS.
    Certificate {
        /// RFC 8705 §2 wants `client_id` as well; mod_oauth2 does not.
        id: Option<String>,
        /// PEM files of certificate and key.
        files: (PathBuf, PathBuf),
    },
}

/// What makes assertions.
pub struct Assertion {
    id: String,
    key: EncodingKey,
    header: Header,
    /// `None`: the issuer of the metadata.
    audience: Option<String>,
}

impl ClientAuth {
    /// Takes the method and its credentials from the options. `audience` is that of assertions, where it is known.
    ///
    /// # Errors
    ///
    /// A method without the credentials that it needs, or a key that is none.
    pub fn from_options(options: &Options, audience: Option<&str>) -> Result<Self, OptionError> {
        let method = options.word("introspect.auth").unwrap_or_else(|| "none".into());
        let needs = |name: &str| {
            options.text(name).map(str::to_owned).ok_or_else(|| {
                OptionError::Combination(format!("introspect.auth={method} needs {name}=VALUE"))
            })
        };
        Ok(match method.as_str() {
            "client_secret_basic" => {
                // RFC 6749 §2.3.1: both are form-encoded before they are put into the Basic scheme
                let (id, secret) =
                    (form::encode(&needs("client_id")?), form::encode(&needs("client_secret")?));
                Self::Authorization(basic(&id, &secret))
            }
            "basic" => Self::Authorization(basic(&needs("username")?, &needs("password")?)),
            "client_secret_post" => {
                Self::SecretPost { id: needs("client_id")?, secret: needs("client_secret")?.into() }
            }
            "client_secret_jwt" => {
                let key = EncodingKey::from_secret(needs("client_secret")?.as_bytes());
                let header = Header::new(Algorithm::HS256);
                Self::Assertion(Assertion::boxed(needs("client_id")?, key, header, audience))
            }
            "private_key_jwt" => {
                let (key, header) = private_jwk(needs("jwk")?.as_bytes())?;
                Self::Assertion(Assertion::boxed(needs("client_id")?, key, header, audience))
            }
            "client_cert" => Self::Certificate {
                id: options.text("client_id").map(str::to_owned),
                files: (needs("cert")?.into(), needs("key")?.into()),
            },
            _ => Self::None,
        })
    }

    /// Adds to the form what the method puts there, and gives the `Authorization` value if it has one.
    ///
    /// `issuer` is the audience of an assertion for which none was configured; `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Outage::Crypto`] when an assertion cannot be signed.
    pub fn apply(
        &self,
        form: &mut String,
        issuer: Option<&str>,
        now: i64,
    ) -> Result<Option<Zeroizing<String>>, Outage> {
        match self {
            Self::None => (),
            Self::Authorization(value) => return Ok(Some(value.clone())),
            Self::SecretPost { id, secret } => {
                form::append(form, "client_id", id);
                form::append(form, "client_secret", secret);
            }
            Self::Assertion(assertion) => {
                form::append(form, "client_id", &assertion.id);
                form::append(form, "client_assertion_type", ASSERTION_TYPE);
                form::append(form, "client_assertion", &assertion.make(issuer, now)?);
            }
            Self::Certificate { id, .. } => id.iter().for_each(|id| form::append(form, "client_id", id)),
        }
        Ok(None)
    }

    /// Whether assertions are made for whoever the metadata names, so that there must be metadata.
    #[must_use]
    pub fn needs_issuer(&self) -> bool {
        matches!(self, Self::Assertion(assertion) if assertion.audience.is_none())
    }
}

/// RFC 7617 §2.
fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let mut value = Zeroizing::new(String::from("Basic "));
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    value
}

impl Assertion {
    fn boxed(id: String, key: EncodingKey, header: Header, audience: Option<&str>) -> Box<Self> {
        Box::new(Self { id, key, header, audience: audience.map(str::to_owned) })
    }

    /// RFC 7523 §3.
    fn make(&self, issuer: Option<&str>, now: i64) -> Result<Zeroizing<String>, Outage> {
        let mut jti = [0; 16];
        openssl::rand::rand_bytes(&mut jti).map_err(|_| Outage::Crypto)?;
        let claims = json!({
            "iss": self.id, "sub": self.id,
            "aud": self.audience.as_deref().or(issuer),
            "jti": base64url::encode(&jti),
            "iat": now, "exp": now.saturating_add(ASSERTION_LIFETIME),
        });
        provider::install();
        jsonwebtoken::encode(&self.header, &claims, &self.key).map(Zeroizing::new).map_err(|_| Outage::Crypto)
    }
}

/// Reads a private JWK (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2) into what jsonwebtoken signs with.
fn private_jwk(text: &[u8]) -> Result<(EncodingKey, Header), OptionError> {
    let wrong = |_| OptionError::ill_typed("jwk", "a private RSA, EC (P-256, P-384) or Ed25519 JWK");
    let jwk = json::parse_object(text).map_err(|_| wrong(()))?;
    let (key, algorithm) = encoding_key(&jwk).ok_or(()).map_err(wrong)?;
    let chosen = match json::string(&jwk, "alg") {
        None => algorithm,
        Some(name) => name
            .parse::<Algorithm>()
            .ok()
            // an EC key has one algorithm, which its curve decides
            .filter(|chosen| *chosen == algorithm || chosen.family() == key.family() && is_rsa(algorithm))
            .ok_or(())
            .map_err(wrong)?,
    };
    let mut header = Header::new(chosen);
    header.kid = json::string(&jwk, "kid").map(str::to_owned);
    Ok((key, header))
}

fn is_rsa(algorithm: Algorithm) -> bool {
    algorithm.family() == jsonwebtoken::AlgorithmFamily::Rsa
}

fn encoding_key(jwk: &Object) -> Option<(EncodingKey, Algorithm)> {
    let octets = |name: &str| base64url::decode(json::string(jwk, name)?.as_bytes()).ok().map(Zeroizing::new);
    let number = |name: &str| BigNum::from_slice(&octets(name)?).ok();
    let curve = json::string(jwk, "crv");
    match (json::string(jwk, "kty")?, curve) {
        ("RSA", _) => {
            let rsa = RsaPrivateKeyBuilder::new(number("n")?, number("e")?, number("d")?).ok()?;
            let rsa = rsa.set_factors(number("p")?, number("q")?).ok()?;
            let rsa = rsa.set_crt_params(number("dp")?, number("dq")?, number("qi")?).ok()?.build();
            if !rsa.check_key().unwrap_or(false) {
                return None;
            }
            let der = Zeroizing::new(rsa.private_key_to_der().ok()?);
            Some((EncodingKey::from_rsa_der(&der), Algorithm::RS256))
        }
        ("EC", Some(curve)) => {
            let (nid, algorithm) = match curve {
                "P-256" => (Nid::X9_62_PRIME256V1, Algorithm::ES256),
                "P-384" => (Nid::SECP384R1, Algorithm::ES384),
                _ => return None,
            };
            let group = EcGroup::from_curve_name(nid).ok()?;
            let mut context = openssl::bn::BigNumContext::new().ok()?;
            let mut point = EcPoint::new(&group).ok()?;
            point.set_affine_coordinates_gfp(&group, &*number("x")?, &*number("y")?, &mut context).ok()?;
            let key = EcKey::from_private_components(&group, &*number("d")?, &point).ok()?;
            key.check_key().ok()?;
            let der = Zeroizing::new(PKey::from_ec_key(key).ok()?.private_key_to_pkcs8().ok()?);
            Some((EncodingKey::from_ec_der(&der), algorithm))
        }
        ("OKP", Some("Ed25519")) => {
            let key = PKey::private_key_from_raw_bytes(&octets("d")?, Id::ED25519).ok()?;
            let der = Zeroizing::new(key.private_key_to_pkcs8().ok()?);
            Some((EncodingKey::from_ed_der(&der), Algorithm::EdDSA))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "client_auth_tests.rs"]
mod tests;
