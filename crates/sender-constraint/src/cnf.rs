//! Confirmation: what a token is bound to, and whether this connection proves it (RFC 7800 §3.1, RFC 8705 §3).

use serde_json::Value;
use token_binding::{TokenBindingHash, base64url};

use crate::json::Object;
use crate::thumbprint::Thumbprint;

/// What the connection of a request proves. Both come from TLS, never from a header of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proofs<'c> {
    /// The client certificate that the client holds the key of.
    pub certificate: Option<&'c Thumbprint>,
    /// The verified provided Token Binding ID of this very request. A referred one proves nothing about the sender.
    pub token_binding: Option<&'c TokenBindingHash>,
}

/// The two confirmation methods that can be checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `x5t#S256` (RFC 8705 §3.1).
    ClientCertificate,
    /// `tbh` (draft-ietf-oauth-token-binding §3).
    TokenBinding,
}

impl Method {
    /// The name of its member in `cnf`.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::ClientCertificate => "x5t#S256",
            Self::TokenBinding => "tbh",
        }
    }
}

/// Why a token's binding does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmationFault {
    /// `cnf` is there and is not an object.
    #[error("cnf is not an object")]
    NotAnObject,
    /// `cnf` has only members that cannot be checked here, such as `jkt`. RFC 7800 §3.1 would let them be ignored; then a
    /// bound token would pass as an unbound one.
    #[error("cnf has no member that can be checked here")]
    NoSupportedMember,
    /// A member of `cnf` is there and is not a string.
    #[error("cnf member {0} is not a string")]
    NotAString(&'static str),
    /// The token is bound and the connection proves nothing of that kind.
    #[error("token is bound by {}, and the connection has no such proof", .0.member())]
    Missing(Method),
    /// The connection proves another certificate or Token Binding.
    #[error("token is bound by {}, and the connection proves another one", .0.member())]
    Mismatch(Method),
    /// The verifier's policy requires a bound token and this one is not bound that way.
    #[error("token is not bound by {}, which is required here", .0.member())]
    Unbound(Method),
}

/// The hash that a member of `cnf` names.
///
/// RFC 8705 §3.1 wants base64url without padding or white space. A text that is not the canonical encoding of 32 octets
/// equals the encoding of no hash, so it never matches; it is kept as such, since it makes the token no less bound.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Hash([u8; 32]),
    Never,
}

impl Expected {
    fn member(cnf: &Object, method: Method) -> Result<Option<Self>, ConfirmationFault> {
        match cnf.get(method.member()) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Self::of(text))),
            Some(_) => Err(ConfirmationFault::NotAString(method.member())),
        }
    }

    fn of(text: &str) -> Self {
        base64url::decode(text.as_bytes())
            .ok()
            .and_then(|octets| octets.try_into().ok())
            .map_or(Self::Never, Self::Hash)
    }

    /// Whether it is this hash, in a time that does not tell where they differ.
    fn is(&self, proven: &[u8; 32]) -> bool {
        match self {
            Self::Hash(expected) => openssl::memcmp::eq(expected, proven),
            Self::Never => false,
        }
    }
}

/// What a token is bound to: its `cnf`, read once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confirmation {
    certificate: Option<Expected>,
    token_binding: Option<Expected>,
}

impl Confirmation {
    /// Reads the `cnf` of a token's claims or of an introspection answer (RFC 8705 §3.1, §3.2).
    ///
    /// # Errors
    ///
    /// A `cnf` that cannot be checked, because then the token is not an unbound one either.
    pub fn from_claims(claims: &Object) -> Result<Self, ConfirmationFault> {
        let cnf = match claims.get("cnf") {
            None => return Ok(Self::default()),
            Some(Value::Object(cnf)) => cnf,
            Some(_) => return Err(ConfirmationFault::NotAnObject),
        };
        let confirmation = Self {
            certificate: Expected::member(cnf, Method::ClientCertificate)?,
            token_binding: Expected::member(cnf, Method::TokenBinding)?,
        };
        if confirmation.certificate.is_none() && confirmation.token_binding.is_none() {
            return Err(ConfirmationFault::NoSupportedMember);
        }
        Ok(confirmation)
    }

    /// Whether the token is bound at all.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.certificate.is_some() || self.token_binding.is_some()
    }

    /// Whether every binding of the token is proven by the connection. An unbound token has none to prove.
    fn hold(&self, proofs: &Proofs<'_>) -> Result<BoundBy, ConfirmationFault> {
        let certificate = proofs.certificate.map(Thumbprint::as_bytes);
        let token_binding = proofs.token_binding.map(TokenBindingHash::as_bytes);
        Ok(BoundBy {
            certificate: holds(self.certificate.as_ref(), certificate, Method::ClientCertificate)?,
            token_binding: holds(self.token_binding.as_ref(), token_binding, Method::TokenBinding)?,
        })
    }
}

fn holds(
    expected: Option<&Expected>,
    proven: Option<&[u8; 32]>,
    method: Method,
) -> Result<bool, ConfirmationFault> {
    match (expected, proven) {
        (None, _) => Ok(false),
        (Some(_), None) => Err(ConfirmationFault::Missing(method)),
        // RFC 8705 §3: "If they do not match, the resource access attempt MUST be rejected"
        (Some(expected), Some(proven)) if expected.is(proven) => Ok(true),
        (Some(_), Some(_)) => Err(ConfirmationFault::Mismatch(method)),
    }
}

/// Which bindings of an accepted token were proven; none for a bearer token. For `Require sender-constrained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundBy {
    /// The token was bound to the client certificate of this connection.
    pub certificate: bool,
    /// The token was bound to the provided Token Binding ID of this request.
    pub token_binding: bool,
}

/// Which bound tokens a verifier demands: its `type` and the policy that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfirmationPolicy {
    /// The binding without which a token is refused.
    pub required: Option<Method>,
}

impl ConfirmationPolicy {
    /// Decides whether a token with this confirmation may be used on a connection with these proofs.
    ///
    /// What a token says about itself is checked whatever the policy; the policy only says what is wanted beyond that.
    /// To be asked for every request: neither the answer nor the proofs belong to the token.
    ///
    /// # Errors
    ///
    /// The first binding that is missing, does not match, or is required and not there.
    pub fn check(
        &self,
        confirmation: &Confirmation,
        proofs: &Proofs<'_>,
    ) -> Result<BoundBy, ConfirmationFault> {
        let bound = confirmation.hold(proofs)?;
        match self.required {
            Some(Method::ClientCertificate) if !bound.certificate => {
                Err(ConfirmationFault::Unbound(Method::ClientCertificate))
            }
            Some(Method::TokenBinding) if !bound.token_binding => {
                Err(ConfirmationFault::Unbound(Method::TokenBinding))
            }
            _ => Ok(bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BEARER: ConfirmationPolicy = ConfirmationPolicy { required: None };
    const MTLS: ConfirmationPolicy = ConfirmationPolicy { required: Some(Method::ClientCertificate) };
    const TB: ConfirmationPolicy = ConfirmationPolicy { required: Some(Method::TokenBinding) };

    fn confirmation(claims: Value) -> Result<Confirmation, ConfirmationFault> {
        Confirmation::from_claims(claims.as_object().unwrap())
    }

    fn proofs<'c>(
        certificate: Option<&'c Thumbprint>,
        token_binding: Option<&'c TokenBindingHash>,
    ) -> Proofs<'c> {
        Proofs { certificate, token_binding }
    }

    #[test]
    fn certificate_bound() {
        let (own, other) = (Thumbprint::of_der(b"own"), Thumbprint::of_der(b"other"));
        let bound = confirmation(json!({"cnf": {"x5t#S256": own.to_base64url()}})).unwrap();
        for policy in [BEARER, MTLS] {
            let granted = policy.check(&bound, &proofs(Some(&own), None)).unwrap();
            assert_eq!(granted, BoundBy { certificate: true, token_binding: false });
            assert_eq!(
                policy.check(&bound, &proofs(Some(&other), None)),
                Err(ConfirmationFault::Mismatch(Method::ClientCertificate))
            );
            assert_eq!(
                policy.check(&bound, &Proofs::default()),
                Err(ConfirmationFault::Missing(Method::ClientCertificate))
            );
        }
        assert_eq!(
            TB.check(&bound, &proofs(Some(&own), Some(&TokenBindingHash::of(b"id")))),
            Err(ConfirmationFault::Unbound(Method::TokenBinding)),
            "a proof that is present on the connection binds no token"
        );
    }

    #[test]
    fn every_member_must_hold() {
        let (certificate, id) = (Thumbprint::of_der(b"own"), TokenBindingHash::of(b"id"));
        let both = confirmation(
            json!({"cnf": {"x5t#S256": certificate.to_base64url(), "tbh": id.to_base64url(), "jkt": "x"}}),
        )
        .unwrap();
        assert!(BEARER.check(&both, &proofs(Some(&certificate), Some(&id))).is_ok());
        assert!(BEARER.check(&both, &proofs(Some(&certificate), None)).is_err());
        assert!(BEARER.check(&both, &proofs(None, Some(&id))).is_err());
        assert!(
            BEARER.check(&both, &proofs(Some(&certificate), Some(&TokenBindingHash::of(b"ID")))).is_err()
        );
    }

    #[test]
    fn one_kind_of_hash_never_serves_as_the_other() {
        let octets = *TokenBindingHash::of(b"same").as_bytes();
        let thumbprint = Thumbprint::from_digest(octets);
        let bound = confirmation(json!({"cnf": {"tbh": thumbprint.to_base64url()}})).unwrap();
        assert!(BEARER.check(&bound, &proofs(Some(&thumbprint), None)).is_err());
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        for cnf in [json!(null), json!("x"), json!([]), json!(1), json!(true)] {
            assert_eq!(confirmation(json!({"cnf": cnf})).err(), Some(ConfirmationFault::NotAnObject));
        }
        for cnf in [json!({}), json!({"jkt": "x"}), json!({"x5t": "x"}), json!({"x5t#s256": "x"})] {
            assert_eq!(confirmation(json!({"cnf": cnf})).err(), Some(ConfirmationFault::NoSupportedMember));
        }
        let own = Thumbprint::of_der(b"own").to_base64url();
        for cnf in [
            json!({"x5t#S256": 1}),
            json!({"x5t#S256": null}),
            json!({"x5t#S256": [own]}),
            json!({"tbh": {}}),
        ] {
            assert!(matches!(
                confirmation(json!({"cnf": cnf})).err(),
                Some(ConfirmationFault::NotAString(_))
            ));
        }
        // RFC 7800 §3.1 puts confirmation into "cnf" and nowhere else
        assert!(!confirmation(json!({"x5t#S256": own})).unwrap().is_bound());
    }

    #[test]
    fn unbound_tokens_are_a_matter_of_policy() {
        let unbound = confirmation(json!({"sub": "joe"})).unwrap();
        let certificate = Thumbprint::of_der(b"own");
        assert_eq!(BEARER.check(&unbound, &Proofs::default()), Ok(BoundBy::default()));
        assert_eq!(
            MTLS.check(&unbound, &proofs(Some(&certificate), None)),
            Err(ConfirmationFault::Unbound(Method::ClientCertificate))
        );
        assert!(TB.check(&unbound, &Proofs::default()).is_err());
    }

    #[test]
    fn texts_that_encode_no_hash_match_nothing_and_still_bind() {
        let own = Thumbprint::of_der(b"own");
        let text = own.to_base64url();
        let padded = format!("{text}=");
        for odd in ["", &padded, " ", &text[..42], &text.replace(['-', '_'], "+"), &format!("{text}\n")] {
            if odd == text {
                continue;
            }
            let bound = confirmation(json!({"cnf": {"x5t#S256": odd}})).unwrap();
            assert!(bound.is_bound());
            assert_eq!(
                BEARER.check(&bound, &proofs(Some(&own), None)),
                Err(ConfirmationFault::Mismatch(Method::ClientCertificate)),
                "{odd}"
            );
        }
    }
}
