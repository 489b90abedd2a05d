//! The option strings of the `OAuth2...` directives: `name=value&name=value`, each checked against the schema.
//!
//! The language is mod_oauth2's, so that its configurations load unchanged, except that nothing is ignored: an option
//! that is unknown, misspelt, ill-typed or given twice is a start-up error that names it and says what is accepted.

use crate::form;
use crate::schema::{Effect, Group, Kind, Spec};

/// An option string that cannot be honoured. Values are not repeated: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A pair without a name.
    #[error("an option without a name: options are written name=value&name=value")]
    NoName,
    /// Not UTF-8 after decoding, or a `%` that is not followed by two hexadecimal digits.
    #[error("option {0}: malformed percent-encoding; write %25 for a percent sign")]
    Encoding(String),
    /// mod_oauth2 silently drops leading `=` signs of a value. Neither reading of such a secret is sure to be meant.
    #[error("option {0}: the value begins with \"=\"; write %3D if it really does")]
    LeadingEquals(String),
    /// Nobody knows which one is meant.
    #[error("option {0} is given twice")]
    Twice(String),
    /// Not an option of this directive and type.
    #[error("unknown option {name}; accepted here: {accepted}")]
    Unknown {
        /// The name as written.
        name: String,
        /// All names that would have been accepted.
        accepted: String,
    },
    /// A value outside of what the option takes.
    #[error("option {name}: the value must be {accepted}")]
    IllTyped {
        /// The option.
        name: String,
        /// The accepted words or the accepted range.
        accepted: String,
    },
    /// Options that contradict or need each other, or a value that does not fit them.
    #[error("{0}")]
    Combination(String),
}

impl OptionError {
    pub(crate) fn ill_typed(name: &str, accepted: impl Into<String>) -> Self {
        Self::IllTyped { name: name.to_owned(), accepted: accepted.into() }
    }
}

/// Something the administrator should know that does not keep the server from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// The options of one directive line, decoded.
#[derive(Clone, Default)]
pub struct Options {
    given: Vec<(String, String)>,
}

impl Options {
    /// Reads an option string and checks it against the options that `groups` allow.
    ///
    /// # Errors
    ///
    /// The first option that is not well-formed, not known, given twice or ill-typed.
    pub fn parse(text: &[u8], groups: &[Group]) -> Result<(Self, Vec<Warning>), OptionError> {
        let mut options = Self::default();
        let mut warnings = Vec::new();
        for (name, value) in form::pairs(text) {
            let shown = String::from_utf8_lossy(name).into_owned();
            let name = decode(name, &shown)?;
            if name.is_empty() {
                return Err(OptionError::NoName);
            }
            if value.starts_with(b"=") {
                return Err(OptionError::LeadingEquals(name));
            }
            let value = decode(value, &shown)?;
            if options.text(&name).is_some() {
                return Err(OptionError::Twice(name));
            }
            let spec = find(&name, groups)?;
            check(&name, &value, spec.kind)?;
            if let Effect::None(reason) = spec.effect {
                warnings.push(Warning(format!("option {name} has no effect: {reason}")));
            }
            options.given.push((name, value));
        }
        Ok((options, warnings))
    }

    /// The value of an option, if it was given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a [`Kind::Flag`].
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(flag)
    }

    /// The value of a [`Kind::Number`].
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(number)
    }

    /// The value of a [`Kind::Words`], in lower case.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_ascii_lowercase)
    }
}

fn decode(encoded: &[u8], name: &str) -> Result<String, OptionError> {
    form::decode(encoded)
        .ok()
        .and_then(|octets| String::from_utf8(octets).ok())
        .ok_or_else(|| OptionError::Encoding(name.to_owned()))
}

fn find(name: &str, groups: &[Group]) -> Result<&'static Spec, OptionError> {
    groups.iter().find_map(|group| group.find(name)).ok_or_else(|| OptionError::Unknown {
        name: name.to_owned(),
        accepted: groups.iter().flat_map(Group::names).collect::<Vec<_>>().join(", "),
    })
}

fn check(name: &str, value: &str, kind: Kind) -> Result<(), OptionError> {
    let fits = match kind {
        Kind::Text | Kind::Form => !value.is_empty(),
        Kind::Any => true,
        Kind::Flag => flag(value).is_some(),
        Kind::Number { least, most, .. } => {
            number(value).is_some_and(|number| (least..=most).contains(&number))
        }
        Kind::Words(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
        Kind::HeaderName => is_header_name(value),
    };
    if fits { Ok(()) } else { Err(OptionError::ill_typed(name, kind.accepted())) }
}

/// One vocabulary for all booleans. mod_oauth2 has two, and `ssl_verify=on` turns its verification off.
fn flag(value: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 6] =
        [("true", true), ("false", false), ("on", true), ("off", false), ("1", true), ("0", false)];
    WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, meaning)| *meaning)
}

/// Digits and nothing else: `5m`, `+5` and `-1` are mistakes.
fn number(value: &str) -> Option<u64> {
    if value.bytes().all(|octet| octet.is_ascii_digit()) { value.parse().ok() } else { None }
}

/// RFC 9110 §5.6.2: a token.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(Options, Vec<Warning>), OptionError> {
        Options::parse(text.as_bytes(), &[schema::CLAIM_RULES, schema::VERIFIER, schema::JWKS_URI])
    }

    #[test]
    fn reads_the_seeds_options() {
        let (options, warnings) = parse("type=mtls&mtls.policy=optional").unwrap();
        assert_eq!(options.text("type"), Some("mtls"));
        assert_eq!(options.word("mtls.policy").as_deref(), Some("optional"));
        assert!(warnings.is_empty());
        assert!(parse("").unwrap().0.given.is_empty());
        assert!(parse("&&").unwrap().0.given.is_empty());
    }

    #[test]
    fn words_are_case_insensitive_and_nothing_else_passes() {
        assert_eq!(parse("mtls.policy=Optional").unwrap().0.word("mtls.policy").as_deref(), Some("optional"));
        let error = parse("mtls.policy=opt").err().unwrap().to_string();
        assert_eq!(error, "option mtls.policy: the value must be required or optional");
        assert!(parse("type=dpop").is_err());
        assert!(parse("verify.exp=requird").is_err());
    }

    #[test]
    fn unknown_options_are_named_with_the_accepted_ones() {
        let error = parse("typ=mtls").err().unwrap().to_string();
        assert!(error.starts_with("unknown option typ; accepted here: "), "{error}");
        assert!(error.contains("type") && error.contains("jwks_uri.ssl_verify"), "{error}");
        assert!(parse("Type=mtls").is_err(), "names are case-sensitive");
        assert!(parse("introspect.auth=none").is_err(), "not of this type");
    }

    #[test]
    fn one_vocabulary_for_booleans() {
        for (word, meaning) in [
            ("true", true),
            ("on", true),
            ("1", true),
            ("ON", true),
            ("false", false),
            ("off", false),
            ("0", false),
        ] {
            let (options, _) = parse(&format!("jwks_uri.ssl_verify={word}")).unwrap();
            assert_eq!(options.flag("jwks_uri.ssl_verify"), Some(meaning));
        }
        for word in ["yes", "", "2", "enabled", "t"] {
            assert!(parse(&format!("jwks_uri.ssl_verify={word}")).is_err(), "{word}");
        }
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(parse("expiry=0").unwrap().0.number("expiry"), Some(0));
        for value in ["5m", "-1", "+5", "", " 5", "0x10", "99999999999999999999", "1e3"] {
            assert!(parse(&format!("expiry={}", form::encode(value))).is_err(), "{value}");
        }
        let error = parse("jwks_uri.http_timeout=0").err().unwrap().to_string();
        assert_eq!(error, "option jwks_uri.http_timeout: the value must be a number from 1 to 120 (seconds)");
    }

    #[test]
    fn form_encoding() {
        let (options, _) = parse("iss=https%3A%2F%2Fas.example%2F%3Fa%3Db%26c&aud=a+b%2B").unwrap();
        assert_eq!(options.text("iss"), Some("https://as.example/?a=b&c"));
        assert_eq!(options.text("aud"), Some("a b+"));
        assert_eq!(parse("iss=a=b==").unwrap().0.text("iss"), Some("a=b=="));
        assert_eq!(parse("iss==x").err(), Some(OptionError::LeadingEquals("iss".into())));
        assert_eq!(parse("iss=100%").err(), Some(OptionError::Encoding("iss".into())));
        assert_eq!(parse("iss=%ff").err(), Some(OptionError::Encoding("iss".into())));
        assert_eq!(parse("iss=%00").err(), Some(OptionError::Encoding("iss".into())));
        assert_eq!(parse("=x").err(), Some(OptionError::NoName));
    }

    #[test]
    fn twice_is_an_error() {
        assert_eq!(parse("iss=a&iss=b").err(), Some(OptionError::Twice("iss".into())));
        assert_eq!(parse("iss=a&i%73s=a").err(), Some(OptionError::Twice("iss".into())));
    }

    #[test]
    fn options_without_effect_warn() {
        let (_, warnings) =
            parse("mtls.env_var_name=X&jwks_uri.http_retries=3&dpop.iat.slack.after=5").unwrap();
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].0.starts_with("option mtls.env_var_name has no effect: "));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
