//! What is demanded of the claims of a token (RFC 7519 §4.1, RFC 9068 §4).

use serde_json::Value;

use crate::json::Object;
use crate::options::{OptionError, Options};
use crate::refusal::TokenFault;

/// Whether a claim is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Skip,
    /// If it is there, it must be right.
    Optional,
    /// It must be there and right.
    Required,
}

impl Mode {
    fn of(options: &Options, name: &str, default: Self) -> Self {
        match options.word(name).as_deref() {
            Some("skip") => Self::Skip,
            Some("optional") => Self::Optional,
            Some("required") => Self::Required,
            _ => default,
        }
    }

    /// How the issuer that metadata names is to be checked: it must be there unless the options say otherwise.
    #[must_use]
    pub fn of_discovered_issuer(options: &Options) -> Self {
        Self::of(options, "verify.iss", Self::Required)
    }

    /// Compares the issuer (RFC 9068 §4: "MUST exactly match").
    ///
    /// # Errors
    ///
    /// It is missing though required, not a string, or another one.
    pub fn check_issuer(self, claims: &Object, expected: &str) -> Result<(), TokenFault> {
        match (self, claims.get("iss")) {
            (Self::Skip, _) | (Self::Optional, None) => Ok(()),
            (Self::Required, None) => Err(TokenFault::Missing("iss")),
            (_, Some(Value::String(issuer))) if issuer == expected => Ok(()),
            (_, Some(Value::String(_))) => Err(TokenFault::Issuer),
            (_, Some(_)) => Err(TokenFault::IllTyped("iss")),
        }
    }
}

/// The rules of one verifier. Times are seconds since 1970 (RFC 7519 §2, NumericDate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// The accepted issuer, and whether the claim must be there.
    pub issuer: Option<(String, Mode)>,
    /// The audience that must be among the token's, and whether the claim must be there.
    pub audience: Option<(String, Mode)>,
    /// `exp`.
    pub exp: Mode,
    /// `nbf`.
    pub nbf: Mode,
    /// `iat`.
    pub iat: Mode,
    /// `typ`, a header parameter of JWTs.
    pub typ: Mode,
    /// How far clocks may differ, for `exp` and `nbf`.
    pub leeway: i64,
    /// How long ago a token may have been issued, if that is limited.
    pub iat_slack_before: Option<i64>,
    /// How far in the future it may have been issued.
    pub iat_slack_after: i64,
}

/// Where a verifier's claims come from, which decides the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A JWT: it must say when it expires.
    Jwt,
    /// A JWT whose issuer the metadata of the authorization server names.
    Metadata,
    /// RFC 7662 §2.2: `exp` is optional, since the authorization server is asked again.
    Introspection,
}

impl ClaimRules {
    /// Takes the rules from the options of a verifier.
    ///
    /// # Errors
    ///
    /// A claim that is to be compared with nothing, or a value that is given and not to be compared.
    pub fn from_options(options: &Options, origin: Origin) -> Result<Self, OptionError> {
        let exp = if origin == Origin::Introspection { Mode::Optional } else { Mode::Required };
        let seconds = |name| options.number(name).and_then(|seconds| i64::try_from(seconds).ok());
        Ok(Self {
            issuer: match origin {
                Origin::Metadata if options.text("iss").is_none() => None,
                _ => expected(options, "iss", "verify.iss")?,
            },
            audience: expected(options, "aud", "verify.aud")?,
            exp: Mode::of(options, "verify.exp", exp),
            nbf: Mode::of(options, "verify.nbf", Mode::Optional),
            iat: Mode::of(options, "verify.iat", Mode::Optional),
            typ: Mode::of(options, "verify.typ", Mode::Optional),
            leeway: seconds("verify.leeway").unwrap_or(0),
            iat_slack_before: seconds("verify.iat.slack_before"),
            iat_slack_after: seconds("verify.iat.slack_after").unwrap_or(10),
        })
    }

    /// The rules of options whose `aud` is not that of tokens.
    ///
    /// # Errors
    ///
    /// As [`Self::from_options`].
    pub fn without_audience(options: &Options, origin: Origin) -> Result<Self, OptionError> {
        if options.word("verify.aud").is_some() {
            return Err(OptionError::Combination(
                "aud is the audience of this server's assertions here: give that as introspect.aud".into(),
            ));
        }
        Ok(Self { audience: None, ..Self::from_options(options, origin)? })
    }

    /// The same rules for answers to introspection, which need not say when they expire.
    #[must_use]
    pub fn for_introspection(self, options: &Options) -> Self {
        Self { exp: Mode::of(options, "verify.exp", Mode::Optional), ..self }
    }

    /// Checks claims, and says until when they are good: `exp` without leeway, if it is looked at.
    ///
    /// # Errors
    ///
    /// The first claim that is missing, of the wrong type or not acceptable.
    pub fn check(&self, claims: &Object, now: i64) -> Result<Option<i64>, TokenFault> {
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        let exp = date(claims, "exp", self.exp, f64::floor)?;
        // RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted"
        if exp.is_some_and(|exp| now >= exp.saturating_add(self.leeway)) {
            return Err(TokenFault::Expired);
        }
        // RFC 7519 §4.1.5: "before which the JWT MUST NOT be accepted"
        let nbf = date(claims, "nbf", self.nbf, f64::ceil)?;
        if nbf.is_some_and(|nbf| now.saturating_add(self.leeway) < nbf) {
            return Err(TokenFault::NotYetValid);
        }
        let iat = date(claims, "iat", self.iat, f64::floor)?;
        let oldest = self.iat_slack_before.map_or(i64::MIN, |slack| now.saturating_sub(slack));
        if iat.is_some_and(|iat| iat < oldest || iat > now.saturating_add(self.iat_slack_after)) {
            return Err(TokenFault::IssuedAt);
        }
        Ok(exp)
    }

    /// Whether the issuer is the expected one: cheap, so that a token of somebody else causes no fetch of keys.
    ///
    /// # Errors
    ///
    /// It is missing though required, not a string, or another one.
    pub fn check_issuer(&self, claims: &Object) -> Result<(), TokenFault> {
        match &self.issuer {
            None => Ok(()),
            Some((expected, mode)) => mode.check_issuer(claims, expected),
        }
    }

    /// RFC 7519 §4.1.3: a string or an array of strings.
    fn check_audience(&self, claims: &Object) -> Result<(), TokenFault> {
        let Some((expected, mode)) = &self.audience else { return Ok(()) };
        match claims.get("aud") {
            None if *mode == Mode::Required => Err(TokenFault::Missing("aud")),
            None => Ok(()),
            Some(Value::String(audience)) if audience == expected => Ok(()),
            Some(Value::Array(audiences)) if audiences.iter().any(|audience| audience == expected) => Ok(()),
            Some(Value::String(_) | Value::Array(_)) => Err(TokenFault::Audience),
            Some(_) => Err(TokenFault::IllTyped("aud")),
        }
    }

    /// Checks the `typ` of a JWT (RFC 9068 §2.1, RFC 8725 §3.11).
    ///
    /// # Errors
    ///
    /// When required: anything but `at+jwt`. When optional: a type that says that it is something else.
    pub fn check_type(&self, typ: Option<&str>) -> Result<(), TokenFault> {
        // RFC 7515 §4.1.9: media types are case-insensitive, and one without "/" stands for application/...
        let typ = typ.map(str::to_ascii_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match (self.typ, typ) {
            (Mode::Skip, _) | (_, Some("at+jwt")) | (Mode::Optional, None | Some("jwt" | "jose")) => Ok(()),
            (Mode::Required, None) => Err(TokenFault::Missing("typ")),
            _ => Err(TokenFault::Type),
        }
    }
}

/// `iss=` and `aud=`: what is given is required unless told otherwise, and what is required must be given.
fn expected(options: &Options, name: &str, mode: &str) -> Result<Option<(String, Mode)>, OptionError> {
    let chosen = options.word(mode);
    match (options.text(name), chosen.as_deref()) {
        (Some(_), Some("skip")) => {
            Err(OptionError::Combination(format!("{name} is given and {mode}=skip leaves it unused")))
        }
        (None, Some("required")) => {
            Err(OptionError::Combination(format!("{mode}=required needs {name}=VALUE to compare with")))
        }
        (Some(value), _) => Ok(Some((value.to_owned(), Mode::of(options, mode, Mode::Required)))),
        (None, _) => Ok(None),
    }
}

/// RFC 7519 §2: a NumericDate is a JSON number, integer or not. Fractions are rounded to the strict side.
fn date(
    claims: &Object,
    name: &'static str,
    mode: Mode,
    round: fn(f64) -> f64,
) -> Result<Option<i64>, TokenFault> {
    match (mode, claims.get(name)) {
        (Mode::Skip, _) | (Mode::Optional, None) => Ok(None),
        (Mode::Required, None) => Err(TokenFault::Missing(name)),
        (_, Some(Value::Number(number))) => {
            #[allow(clippy::cast_possible_truncation)]
            // `as` saturates: a date beyond i64 is as far as can be
            let rounded = || round(number.as_f64().unwrap_or(f64::NAN)) as i64;
            Ok(Some(number.as_i64().unwrap_or_else(rounded)))
        }
        (_, Some(_)) => Err(TokenFault::IllTyped(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000;

    fn rules(options: &str) -> Result<ClaimRules, OptionError> {
        let (options, _) = Options::parse(options.as_bytes(), &[schema::CLAIM_RULES, schema::JWT])?;
        ClaimRules::from_options(&options, Origin::Jwt)
    }

    fn check(options: &str, claims: Value) -> Result<Option<i64>, TokenFault> {
        rules(options).unwrap().check(claims.as_object().unwrap(), NOW)
    }

    #[test]
    fn exp_is_required_and_exact() {
        assert_eq!(check("", json!({})), Err(TokenFault::Missing("exp")));
        assert_eq!(check("", json!({"exp": NOW})), Err(TokenFault::Expired));
        assert_eq!(check("", json!({"exp": NOW + 1})), Ok(Some(NOW + 1)));
        assert_eq!(check("verify.leeway=30", json!({"exp": NOW - 29})), Ok(Some(NOW - 29)));
        assert_eq!(check("verify.leeway=30", json!({"exp": NOW - 30})), Err(TokenFault::Expired));
        assert_eq!(check("verify.exp=optional", json!({})), Ok(None));
        assert_eq!(check("verify.exp=optional", json!({"exp": 1})), Err(TokenFault::Expired));
        assert_eq!(check("verify.exp=skip", json!({"exp": 1})), Ok(None));
    }

    #[test]
    fn dates_are_json_numbers() {
        assert_eq!(check("", json!({"exp": NOW as f64 + 0.5})), Err(TokenFault::Expired));
        assert_eq!(check("", json!({"exp": NOW as f64 + 1.5})), Ok(Some(NOW + 1)));
        assert_eq!(check("", json!({"exp": 1e300})), Ok(Some(i64::MAX)));
        assert_eq!(check("", json!({"exp": u64::MAX})), Ok(Some(i64::MAX)));
        assert_eq!(check("", json!({"exp": -1e300})), Err(TokenFault::Expired));
        for odd in [json!("1900000000"), json!(null), json!([NOW]), json!(true), json!({})] {
            assert_eq!(check("", json!({"exp": odd})), Err(TokenFault::IllTyped("exp")));
            assert_eq!(check("", json!({"exp": NOW + 1, "nbf": odd})), Err(TokenFault::IllTyped("nbf")));
            assert_eq!(check("", json!({"exp": NOW + 1, "iat": odd})), Err(TokenFault::IllTyped("iat")));
        }
    }

    #[test]
    fn nbf_in_the_future_is_refused_as_a_real_number_too() {
        for nbf in [json!(NOW + 1), json!(NOW as f64 + 0.25), json!(1e18)] {
            assert_eq!(check("", json!({"exp": NOW + 9, "nbf": nbf})), Err(TokenFault::NotYetValid));
        }
        assert!(check("", json!({"exp": NOW + 9, "nbf": NOW})).is_ok());
        assert!(check("verify.leeway=1", json!({"exp": NOW + 9, "nbf": NOW + 1})).is_ok());
        assert_eq!(check("verify.nbf=required", json!({"exp": NOW + 9})), Err(TokenFault::Missing("nbf")));
    }

    #[test]
    fn iat_has_slack() {
        let at = |options, iat| check(options, json!({"exp": NOW + 9, "iat": iat}));
        assert!(at("", NOW + 10).is_ok() && at("", 0).is_ok());
        assert_eq!(at("", NOW + 11), Err(TokenFault::IssuedAt));
        assert_eq!(at("verify.iat.slack_before=60", NOW - 61), Err(TokenFault::IssuedAt));
        assert!(at("verify.iat.slack_before=60&verify.iat.slack_after=0", NOW - 60).is_ok());
        assert!(at("verify.iat=skip", NOW + 1000).is_ok());
    }

    #[test]
    fn issuer_is_compared_exactly() {
        let iss = |options, iss: Value| check(options, json!({"exp": NOW + 9, "iss": iss}));
        assert!(iss("iss=https://as", json!("https://as")).is_ok());
        for other in ["https://as/", "HTTPS://as", "", "https://as "] {
            assert_eq!(iss("iss=https://as", json!(other)), Err(TokenFault::Issuer));
        }
        assert_eq!(iss("iss=https://as", json!(["https://as"])), Err(TokenFault::IllTyped("iss")));
        assert_eq!(check("iss=https://as", json!({"exp": NOW + 9})), Err(TokenFault::Missing("iss")));
        assert!(check("iss=https://as&verify.iss=optional", json!({"exp": NOW + 9})).is_ok());
        assert!(iss("", json!("anybody")).is_ok());
    }

    #[test]
    fn audience_is_a_string_or_one_of_an_array() {
        let aud = |aud: Value| check("aud=api", json!({"exp": NOW + 9, "aud": aud}));
        assert!(aud(json!("api")).is_ok() && aud(json!(["x", "api", 1])).is_ok());
        for other in [json!("api2"), json!([]), json!(["ap", "i"]), json!([["api"]]), json!("")] {
            assert_eq!(aud(other), Err(TokenFault::Audience));
        }
        assert_eq!(aud(json!({"api": true})), Err(TokenFault::IllTyped("aud")));
        assert_eq!(check("aud=api", json!({"exp": NOW + 9})), Err(TokenFault::Missing("aud")));
    }

    #[test]
    fn types() {
        let optional = rules("").unwrap();
        for typ in [None, Some("JWT"), Some("at+JWT"), Some("application/at+jwt"), Some("Application/AT+jwt")]
        {
            assert_eq!(optional.check_type(typ), Ok(()));
        }
        for typ in ["dpop+jwt", "logout+jwt", "", "at", "application/application/at+jwt"] {
            assert_eq!(optional.check_type(Some(typ)), Err(TokenFault::Type));
        }
        let required = rules("verify.typ=required").unwrap();
        assert_eq!(required.check_type(None), Err(TokenFault::Missing("typ")));
        assert_eq!(required.check_type(Some("JWT")), Err(TokenFault::Type));
        assert_eq!(required.check_type(Some("at+jwt")), Ok(()));
        assert_eq!(rules("verify.typ=skip").unwrap().check_type(Some("dpop+jwt")), Ok(()));
    }

    #[test]
    fn contradictions_are_start_up_errors() {
        for options in
            ["verify.iss=required", "verify.aud=required", "iss=a&verify.iss=skip", "aud=a&verify.aud=skip"]
        {
            assert!(matches!(rules(options), Err(OptionError::Combination(_))), "{options}");
        }
        assert!(rules("verify.iss=skip&verify.aud=optional").is_ok());
    }
}
