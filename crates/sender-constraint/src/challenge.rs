//! The `WWW-Authenticate` field of a refusal (RFC 6750 §3, RFC 9110 §11.6.1).

use crate::refusal::Refusal;

/// Which authentication scheme the challenge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 7617: where the token is accepted as password only.
    Basic,
}

/// The value of `WWW-Authenticate`, or `None` where the status has none (503).
///
/// `realm` is httpd's AuthName. RFC 6750 §3 wants at least one parameter, so where there is neither an error nor a name
/// the realm is empty.
#[must_use]
pub fn www_authenticate(refusal: &Refusal, scheme: Scheme, realm: Option<&[u8]>) -> Option<Vec<u8>> {
    if refusal.status() == 503 {
        return None;
    }
    let mut value = Parameters::new(match scheme {
        Scheme::Bearer => b"Bearer",
        Scheme::Basic => b"Basic",
    });
    let errors = scheme == Scheme::Bearer && refusal.error().is_some();
    if realm.is_some() || !errors {
        value.add("realm", realm.unwrap_or_default());
    }
    // RFC 7617 knows no error parameters
    if errors {
        for (name, text) in [("error", refusal.error()), ("error_description", refusal.description())] {
            text.into_iter().for_each(|text| value.add(name, text.as_bytes()));
        }
        if let Refusal::InsufficientScope { scope: Some(scope) } = refusal {
            value.add("scope", &scope_characters(scope));
        }
    }
    Some(value.text)
}

/// RFC 6750 §3: `scope` is of %x21, %x23-5B, %x5D-7E and blanks.
fn scope_characters(scope: &str) -> Vec<u8> {
    scope.bytes().filter(|octet| matches!(octet, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)).collect()
}

/// Authentication parameters in the making.
struct Parameters {
    text: Vec<u8>,
    first: bool,
}

impl Parameters {
    fn new(scheme: &[u8]) -> Self {
        Self { text: scheme.to_vec(), first: true }
    }

    /// RFC 9110 §5.6.4: a quoted-string. Control characters, which it cannot hold, become blanks.
    fn add(&mut self, name: &str, value: &[u8]) {
        self.text.extend_from_slice(if self.first { b" " } else { b", " });
        self.first = false;
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"=\"");
        for octet in value {
            match octet {
                b'"' | b'\\' => self.text.extend([b'\\', *octet]),
                0x00..=0x1f | 0x7f => self.text.push(b' '),
                _ => self.text.push(*octet),
            }
        }
        self.text.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cnf::{ConfirmationFault, Method};
    use crate::json::JsonFault;
    use crate::refusal::{LABELS, Outage, TokenFault};

    fn challenge(refusal: &Refusal, realm: Option<&str>) -> String {
        String::from_utf8(www_authenticate(refusal, Scheme::Bearer, realm.map(str::as_bytes)).unwrap())
            .unwrap()
    }

    #[test]
    fn no_error_code_without_a_token() {
        assert_eq!(challenge(&Refusal::NoToken, Some("example")), "Bearer realm=\"example\"");
        assert_eq!(challenge(&Refusal::NoToken, None), "Bearer realm=\"\"");
    }

    #[test]
    fn errors_say_which() {
        assert_eq!(
            challenge(&TokenFault::Expired.into(), Some("example")),
            "Bearer realm=\"example\", error=\"invalid_token\", error_description=\"The access token expired\""
        );
        let bound = TokenFault::Confirmation(ConfirmationFault::Missing(Method::ClientCertificate));
        assert_eq!(
            challenge(&bound.into(), None),
            "Bearer error=\"invalid_token\", error_description=\"Missing / invalid client X.509 certificate for \
             x5t#S256 bound access token\""
        );
        assert_eq!(
            challenge(&Refusal::InsufficientScope { scope: Some("read".into()) }, None),
            "Bearer error=\"insufficient_scope\", error_description=\"Different scope(s) or other claims required.\", \
             scope=\"read\""
        );
    }

    #[test]
    fn nothing_in_a_realm_or_scope_breaks_out() {
        assert_eq!(
            challenge(&Refusal::NoToken, Some("a\"b\\c\r\nX: y")),
            "Bearer realm=\"a\\\"b\\\\c  X: y\""
        );
        let scope = Refusal::InsufficientScope { scope: Some("re\"ad\r\n\\x\u{e9}".into()) };
        assert!(challenge(&scope, None).ends_with("scope=\"readx\""));
    }

    #[test]
    fn basic_has_a_realm_and_no_errors() {
        let value = www_authenticate(&TokenFault::Expired.into(), Scheme::Basic, Some(b"x")).unwrap();
        assert_eq!(value, b"Basic realm=\"x\"");
    }

    fn all() -> Vec<Refusal> {
        use ConfirmationFault::*;
        let methods = [Method::ClientCertificate, Method::TokenBinding];
        let mut faults: Vec<TokenFault> =
            methods.iter().flat_map(|m| [Missing(*m), Mismatch(*m), Unbound(*m)]).map(Into::into).collect();
        faults.extend([NotAnObject, NoSupportedMember, NotAString("tbh")].map(TokenFault::from));
        faults.extend([
            TokenFault::TooLong,
            TokenFault::Characters,
            TokenFault::NotAJwt,
            JsonFault::TooDeep.into(),
            TokenFault::Header,
            TokenFault::Algorithm,
            TokenFault::Critical,
            TokenFault::Type,
            TokenFault::UnknownKey,
            TokenFault::Signature,
            TokenFault::Missing("exp"),
            TokenFault::IllTyped("exp"),
            TokenFault::Expired,
            TokenFault::NotYetValid,
            TokenFault::IssuedAt,
            TokenFault::Issuer,
            TokenFault::Audience,
            TokenFault::Inactive,
            TokenFault::NoUser,
        ]);
        let mut all: Vec<Refusal> = faults.into_iter().map(Into::into).collect();
        all.extend([
            Refusal::NoToken,
            Refusal::SeveralTokens,
            Refusal::MalformedRequest("x"),
            Outage::Pending.into(),
            Refusal::InsufficientScope { scope: None },
        ]);
        all
    }

    #[test]
    fn every_refusal_fits_the_table() {
        for refusal in all() {
            assert!(LABELS.contains(&refusal.label()), "{}", refusal.label());
            for text in [refusal.error(), refusal.description()].into_iter().flatten() {
                assert!(text.bytes().all(|o| matches!(o, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
            }
            let expected = match refusal.error() {
                Some("invalid_token") => 401,
                Some("invalid_request") => 400,
                Some("insufficient_scope") => 403,
                None if refusal == Refusal::NoToken => 401,
                _ => 503,
            };
            assert_eq!(refusal.status(), expected);
            assert_eq!(refusal.retry_after().is_some(), expected == 503);
            assert_eq!(www_authenticate(&refusal, Scheme::Bearer, None).is_none(), expected == 503);
            let log = refusal.to_string();
            assert!(
                log.chars()
                    .next()
                    .is_some_and(|c| c.is_lowercase() || log.starts_with("JWT") || log.starts_with("JSON")),
                "{log}"
            );
        }
    }
}
