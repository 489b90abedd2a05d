//! `Require oauth2_claim`: what the claims of a token must be.

use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

use crate::cnf::BoundBy;
use crate::json::Object;

/// A requirement that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// Nothing between the blanks.
    #[error("Require oauth2_claim needs name:value, name~regex or a.b:value")]
    Empty,
    /// Neither `:` nor `~`.
    #[error("\"{0}\": write name:value, name~regex or a.b:value")]
    NoOperator(String),
    /// Not a way in which tokens are bound.
    #[error("\"{0}\": Require sender-constrained takes mtls and token-binding")]
    Binding(String),
    /// The regex is not one. There are no look-around and no back-references: matching takes linear time.
    #[error("\"{spec}\": {reason}")]
    Regex {
        /// The requirement.
        spec: String,
        /// What is wrong with its regex.
        reason: String,
    },
}

/// The arguments of one `Require oauth2_claim` line; one of them must hold.
#[derive(Clone, Debug)]
pub struct ClaimRequirement {
    specs: Vec<ClaimSpec>,
}

impl ClaimRequirement {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// The first one that cannot be understood, or none at all.
    pub fn parse<'a>(specs: impl IntoIterator<Item = &'a str>) -> Result<Self, RequirementError> {
        let specs = specs.into_iter().map(ClaimSpec::parse).collect::<Result<Vec<_>, _>>()?;
        if specs.is_empty() { Err(RequirementError::Empty) } else { Ok(Self { specs }) }
    }

    /// Whether the claims are as required.
    #[must_use]
    pub fn holds(&self, claims: &Object) -> bool {
        self.specs.iter().any(|spec| spec.holds(claims))
    }

    /// The scopes that would do, for the challenge (RFC 6750 §3), if that is what is required.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        let scopes: Vec<_> = self.specs.iter().filter_map(ClaimSpec::scope).collect();
        if scopes.is_empty() { None } else { Some(scopes.join(" ")) }
    }
}

/// `Require sender-constrained [mtls] [token-binding]`: the token was bound by one of these, and the proof held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderConstrained {
    certificate: bool,
    token_binding: bool,
}

impl SenderConstrained {
    /// Reads the arguments; none means that any binding will do.
    ///
    /// # Errors
    ///
    /// The first word that is neither `mtls` nor `token-binding`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, RequirementError> {
        let mut wanted = Self { certificate: false, token_binding: false };
        for word in words {
            match word.to_ascii_lowercase().as_str() {
                "mtls" => wanted.certificate = true,
                "token-binding" => wanted.token_binding = true,
                _ => return Err(RequirementError::Binding(word.to_owned())),
            }
        }
        let any = !wanted.certificate && !wanted.token_binding;
        Ok(Self { certificate: wanted.certificate || any, token_binding: wanted.token_binding || any })
    }

    /// Whether the bindings that were proven are as required.
    #[must_use]
    pub const fn holds(self, bound: BoundBy) -> bool {
        self.certificate && bound.certificate || self.token_binding && bound.token_binding
    }
}

/// One requirement, in all the ways in which it can be read.
///
/// Names of claims may hold `:`, `~` and `.` themselves (`https://example.com/roles`, `urn:x:y`), so which of them is the
/// operator shows only with the claims: it is the first one before which the name of a claim ends.
#[derive(Clone, Debug)]
struct ClaimSpec {
    readings: Vec<(String, Test)>,
}

#[derive(Clone, Debug)]
enum Test {
    Equals { text: String, real: Option<f64> },
    Matches(Regex),
}

/// The regex of a requirement becomes at most this large when compiled.
const REGEX_SIZE: usize = 1 << 20;

impl ClaimSpec {
    fn parse(spec: &str) -> Result<Self, RequirementError> {
        let mut readings = Vec::new();
        for (index, operator) in spec.match_indices([':', '~']).filter(|(index, _)| *index > 0) {
            let (name, rest) = spec.split_at(index);
            let value = rest.get(1..).unwrap_or_default();
            let test = if operator == ":" {
                // only what JSON could have written is a number: " 5", "5 " and "inf" are texts
                let is_number = serde_json::from_str::<serde_json::Number>(value).is_ok();
                let real = if is_number { value.parse().ok() } else { None };
                Test::Equals { text: value.to_owned(), real }
            } else {
                let regex = RegexBuilder::new(value).size_limit(REGEX_SIZE).build();
                Test::Matches(regex.map_err(|error| RequirementError::Regex {
                    spec: spec.to_owned(),
                    reason: error.to_string(),
                })?)
            };
            readings.push((name.to_owned(), test));
        }
        match (spec, readings.is_empty()) {
            ("", _) => Err(RequirementError::Empty),
            (spec, true) => Err(RequirementError::NoOperator(spec.to_owned())),
            _ => Ok(Self { readings }),
        }
    }

    fn holds(&self, claims: &Object) -> bool {
        self.readings
            .iter()
            .find_map(|(path, test)| find(claims, path).map(|value| (path, test, value)))
            .is_some_and(|(path, test, value)| test.holds(value, path == "scope"))
    }

    fn scope(&self) -> Option<&str> {
        match self.readings.first() {
            Some((path, Test::Equals { text, .. })) if path == "scope" => Some(text),
            _ => None,
        }
    }
}

/// The claim of this name, or the member of this path in it. A name that is there as a whole is never a path.
fn find<'c>(claims: &'c Object, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.').find_map(|(index, _)| match claims.get(path.get(..index)?) {
        Some(Value::Object(inner)) => find(inner, path.get(index + 1..)?),
        _ => None,
    })
}

impl Test {
    fn holds(&self, value: &Value, is_scope: bool) -> bool {
        match value {
            // RFC 6749 §3.3: the value of `scope` is a list of strings with blanks between them
            Value::String(text) => {
                self.holds_text(text) || is_scope && text.split(' ').any(|scope| self.holds_text(scope))
            }
            Value::Array(elements) => elements.iter().any(|element| match element {
                Value::Array(_) | Value::Object(_) => false,
                scalar => self.holds(scalar, false),
            }),
            Value::Number(number) => match self {
                Self::Equals { text, real } => {
                    number.to_string() == *text
                        || !(number.is_i64() || number.is_u64()) && real.is_some() && number.as_f64() == *real
                }
                Self::Matches(_) => false,
            },
            Value::Bool(value) => match self {
                Self::Equals { text, .. } => text == if *value { "true" } else { "false" },
                Self::Matches(_) => false,
            },
            Value::Null | Value::Object(_) => false,
        }
    }

    fn holds_text(&self, claim: &str) -> bool {
        match self {
            Self::Equals { text, .. } => text == claim,
            Self::Matches(regex) => regex.is_match(claim),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn holds(spec: &str, claims: Value) -> bool {
        ClaimRequirement::parse([spec]).unwrap().holds(claims.as_object().unwrap())
    }

    #[test]
    fn comparison_is_exact() {
        assert!(holds("role:admin", json!({"role": "admin"})));
        for role in ["ad min", " admin", "admin ", "Admin", "admin\n", "", "adm", "admins"] {
            assert!(!holds("role:admin", json!({"role": role})), "{role:?}");
        }
        assert!(holds("role:", json!({"role": ""})));
        assert!(!holds("role:admin", json!({"Role": "admin"})));
        assert!(
            !holds("role:admin", json!({"role": {"admin": true}}))
                && !holds("role:null", json!({"role": null}))
        );
    }

    #[test]
    fn scope_is_a_list() {
        let scope = json!({"scope": "read write"});
        assert!(holds("scope:read", scope.clone()) && holds("scope:write", scope.clone()));
        assert!(holds("scope:read write", scope.clone()));
        assert!(!holds("scope:rea", scope.clone()) && !holds("scope:", scope.clone()));
        assert!(holds("scope~^wri", scope.clone()) && !holds("scope~^ite", scope));
        assert!(holds("scope:read", json!({"scope": ["read", "write"]})));
        assert!(!holds("roles:read", json!({"roles": "read write"})), "only scope is");
        assert!(!holds("a.scope:read", json!({"a": {"scope": "read write"}})));
    }

    #[test]
    fn scalars_and_arrays() {
        assert!(holds("n:5", json!({"n": 5})) && holds("n:-5", json!({"n": -5})));
        for spec in ["n:05", "n:+5", "n: 5", "n:5x", "n:5.0", "n:6", "n:"] {
            assert!(!holds(spec, json!({"n": 5})), "{spec}");
        }
        assert!(holds("n:18446744073709551615", json!({"n": u64::MAX})));
        assert!(!holds("n:9007199254740993", json!({"n": 9007199254740992u64})), "integers are not rounded");
        assert!(holds("r:1.5", json!({"r": 1.5})) && holds("r:1.50", json!({"r": 1.5})));
        assert!(!holds("r:1.6", json!({"r": 1.5})) && !holds("r:nan", json!({"r": 1.5})));
        assert!(holds("b:true", json!({"b": true})) && !holds("b:true", json!({"b": false})));
        assert!(!holds("b:True", json!({"b": true})) && !holds("b:1", json!({"b": true})));
        let array = json!({"a": ["x", 5, 1.5, true, ["y"], {"z": 1}]});
        for spec in ["a:x", "a:5", "a:1.5", "a:true", "a~^x$"] {
            assert!(holds(spec, array.clone()), "{spec}");
        }
        assert!(!holds("a:y", array.clone()) && !holds("a:z", array));
    }

    #[test]
    fn paths() {
        let claims = json!({"a": {"b": "x", "c": {"d": ["y"]}}, "p.q": "z", "p": {"q": "w"}, "s": "t"});
        assert!(holds("a.b:x", claims.clone()) && holds("a.c.d:y", claims.clone()));
        assert!(holds("p.q:z", claims.clone()) && !holds("p.q:w", claims.clone()));
        assert!(!holds("a.x:x", claims.clone()) && !holds("s.t:t", claims.clone()) && !holds("a.:x", claims));
        let keycloak = json!({"realm_access": {"roles": ["user"]}});
        assert!(
            holds("realm_access.roles:user", keycloak.clone()) && holds("realm_access.roles~^us", keycloak)
        );
    }

    #[test]
    fn names_with_operators_in_them() {
        assert!(holds("https://example.com/roles:admin", json!({"https://example.com/roles": ["admin"]})));
        assert!(holds("urn:x:roles:a:b", json!({"urn:x:roles": "a:b"})));
        let both = json!({"role": "user", "role:a": "b"});
        assert!(!holds("role:a:b", both), "the shortest claim name decides alone");
    }

    #[test]
    fn regular_expressions_are_compiled_once_and_linear() {
        assert!(holds("email~@example\\.com$", json!({"email": "joe@example.com"})));
        assert!(!holds("email~@example\\.com$", json!({"email": "joe@example.com.evil"})));
        assert!(!holds("n~5", json!({"n": 5})), "strings only");
        for spec in ["a~(", "a~(?=x)", "a~(x)\\1", "a~x{99999}{99999}"] {
            assert!(matches!(ClaimRequirement::parse([spec]), Err(RequirementError::Regex { .. })), "{spec}");
        }
        let evil = "a".repeat(16 * 1024);
        let start = std::time::Instant::now();
        assert!(!holds("x~(a+)+$b", json!({"x": evil})));
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn one_of_several() {
        let either = ClaimRequirement::parse(["scope:read", "scope:admin", "role:x"]).unwrap();
        assert!(either.holds(json!({"scope": "admin"}).as_object().unwrap()));
        assert!(either.holds(json!({"role": "x"}).as_object().unwrap()));
        assert!(!either.holds(json!({"scope": "other"}).as_object().unwrap()));
        assert_eq!(either.scope().as_deref(), Some("read admin"));
        assert_eq!(ClaimRequirement::parse(["role:x"]).unwrap().scope(), None);
        assert!(ClaimRequirement::parse([]).is_err());
        for spec in ["", "role", ":x", "~x"] {
            assert!(ClaimRequirement::parse([spec]).is_err(), "{spec}");
        }
    }

    #[test]
    fn sender_constrained() {
        let bound = |certificate, token_binding| BoundBy { certificate, token_binding };
        let any = SenderConstrained::parse([]).unwrap();
        assert!(
            any.holds(bound(true, false)) && any.holds(bound(false, true)) && !any.holds(bound(false, false))
        );
        let mtls = SenderConstrained::parse(["mtls"]).unwrap();
        assert!(mtls.holds(bound(true, false)) && !mtls.holds(bound(false, true)));
        let either = SenderConstrained::parse(["token-binding", "MTLS"]).unwrap();
        assert_eq!(either, any);
        assert!(SenderConstrained::parse(["dpop"]).is_err());
    }

    proptest! {
        #[test]
        fn a_string_equals_only_itself(a in "[a-z :.~]{0,8}", b in "[a-z :.~]{0,8}") {
            prop_assert_eq!(holds(&format!("name:{a}"), json!({"name": b})), a == b);
        }

        #[test]
        fn never_panics(spec in "\\PC{0,20}", name in "\\PC{0,5}", text in "\\PC{0,10}") {
            if let Ok(requirement) = ClaimRequirement::parse([spec.as_str()]) {
                let _ = requirement.holds(json!({name: text}).as_object().unwrap());
            }
        }
    }
}
