//! What the application and the backend get of a token (`OAuth2TargetPass`).

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use serde_json::Value;
use token_binding::base64url;

use crate::json::Object;
use crate::options::{OptionError, Options, Warning};
use crate::refusal::TokenFault;
use crate::schema;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 as it is.
    Utf8,
    /// ISO 8859-1; what it does not have becomes `?`.
    Latin1,
    /// base64url of the UTF-8 octets.
    Base64Url,
}

/// The settings of `OAuth2TargetPass`. Each may be missing, so that an inner section changes only what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSettings {
    variables: Option<bool>,
    headers: Option<bool>,
    prefix: Option<String>,
    user_header: Option<CString>,
    user_claim: Option<String>,
    payload_claim: Option<String>,
    encoding: Option<Encoding>,
}

impl TargetSettings {
    /// Reads the argument of `OAuth2TargetPass`.
    ///
    /// # Errors
    ///
    /// Unknown or ill-typed options. An empty prefix is one: claims would be headers of any name, and none that a client
    /// sends could be told from ours.
    pub fn parse(options: &[u8]) -> Result<(Self, Vec<Warning>), OptionError> {
        let (options, warnings) = Options::parse(options, &[schema::TARGET])?;
        let owned = |name| options.text(name).map(str::to_owned);
        let encoding = options.word("encoding").map(|word| match word.as_str() {
            "latin1" => Encoding::Latin1,
            "base64url" => Encoding::Base64Url,
            _ => Encoding::Utf8,
        });
        let settings = Self {
            variables: options.flag("envvars"),
            headers: options.flag("headers"),
            prefix: owned("prefix"),
            user_header: options.text("authn_header").and_then(|name| CString::new(name).ok()),
            user_claim: owned("remote_user_claim"),
            payload_claim: owned("json_payload_claim"),
            encoding,
        };
        Ok((settings, warnings))
    }

    /// These settings where they say something, the outer section's elsewhere.
    #[must_use]
    pub fn over(&self, outer: &Self) -> Self {
        Self {
            variables: self.variables.or(outer.variables),
            headers: self.headers.or(outer.headers),
            prefix: self.prefix.clone().or_else(|| outer.prefix.clone()),
            user_header: self.user_header.clone().or_else(|| outer.user_header.clone()),
            user_claim: self.user_claim.clone().or_else(|| outer.user_claim.clone()),
            payload_claim: self.payload_claim.clone().or_else(|| outer.payload_claim.clone()),
            encoding: self.encoding.or(outer.encoding),
        }
    }

    /// Whether claims become variables.
    #[must_use]
    pub fn variables(&self) -> bool {
        self.variables.unwrap_or(true)
    }

    /// Whether claims become request headers.
    #[must_use]
    pub fn headers(&self) -> bool {
        self.headers.unwrap_or(true)
    }

    /// What the names of variables and headers begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("OAUTH2_CLAIM_")
    }

    /// The request header that gets the user's name, if any.
    #[must_use]
    pub fn user_header(&self) -> Option<&CStr> {
        self.user_header.as_deref()
    }

    /// Whether a request header that begins with this octet may be one of those: most need no further look.
    #[must_use]
    pub fn may_begin_ours(&self, initial: u8) -> bool {
        let begins = |name: &[u8]| name.first().is_some_and(|first| cgi(*first) == cgi(initial));
        begins(self.prefix().as_bytes()) || self.user_header().is_some_and(|name| begins(name.to_bytes()))
    }

    /// Whether only this module may set this request header: one from a client must be removed.
    ///
    /// Names are compared as CGI would see them: `OAUTH2-CLAIM-sub` becomes the same `HTTP_OAUTH2_CLAIM_SUB`.
    #[must_use]
    pub fn is_ours(&self, header: &[u8]) -> bool {
        let begins = |start: &[u8]| {
            header.len() >= start.len() && start.iter().zip(header).all(|(a, b)| cgi(*a) == cgi(*b))
        };
        begins(self.prefix().as_bytes())
            || self
                .user_header()
                .is_some_and(|name| name.to_bytes().len() == header.len() && begins(name.to_bytes()))
    }

    /// Writes down, once for a token, what each request with it will be given.
    ///
    /// # Errors
    ///
    /// [`TokenFault::NoUser`] when the claim that names the user is missing, not a string, empty, or has control
    /// characters.
    pub fn pass(&self, claims: &Object, token: &[u8]) -> Result<Passed, TokenFault> {
        let user_claim = self.user_claim.as_deref().unwrap_or("sub");
        let user = match claims.get(user_claim) {
            Some(Value::String(user)) if !user.is_empty() && !user.chars().any(char::is_control) => user,
            _ => return Err(TokenFault::NoUser),
        };
        let mut values = Values { settings: self, pairs: Vec::with_capacity(claims.len() + 2) };
        values.add("access_token", token);
        if let Some(name) = &self.payload_claim {
            values.add(name, &self.encode(&Value::Object(claims.clone()).to_string()));
        }
        // Names that are one to CGI: registered claims, with small letters and `_`, before `SUB` and `client-id`; and names that
        // pass unchanged first, so that `a/b` never takes the place of `a-b`.
        let mut ordered: Vec<_> = claims.iter().collect();
        ordered.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        let (unchanged, changed): (Vec<_>, Vec<_>) =
            ordered.into_iter().partition(|(name, _)| is_field_name(name));
        for (name, value) in unchanged {
            values.add(name, &self.encode(&as_text(value)));
        }
        for (name, value) in changed {
            values.add(&field_name(name), &self.encode(&as_text(value)));
        }
        Ok(Passed {
            user: c_string(user.as_bytes()),
            user_header: c_string(&self.encode(user)),
            pairs: values.pairs,
        })
    }

    /// A value that may stand in a header: no control character survives.
    fn encode(&self, text: &str) -> Vec<u8> {
        match self.encoding.unwrap_or(Encoding::Utf8) {
            Encoding::Base64Url => base64url::encode(text.as_bytes()).into_bytes(),
            Encoding::Utf8 if text.bytes().all(|octet| (0x20..0x7f).contains(&octet)) => {
                text.as_bytes().to_vec()
            }
            Encoding::Utf8 => {
                text.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>().into_bytes()
            }
            Encoding::Latin1 => {
                let octet = |c: char| u8::try_from(u32::from(c)).ok().filter(|_| !c.is_control());
                text.chars().map(|c| octet(c).unwrap_or(b'?')).collect()
            }
        }
    }
}

/// The values of one token at one target, ready to be set. The token is among them, so they cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Passed {
    /// REMOTE_USER.
    pub user: CString,
    /// The user's name as the header of [`TargetSettings::user_header`] gets it.
    pub user_header: CString,
    /// Names, prefix included, and values: of variables and of headers alike. No two names are one to CGI.
    pub pairs: Vec<(CString, CString)>,
}

struct Values<'s> {
    settings: &'s TargetSettings,
    pairs: Vec<(CString, CString)>,
}

impl Values<'_> {
    /// Adds a value, unless its name is taken by one that is the same to CGI.
    fn add(&mut self, name: &str, value: &[u8]) {
        let prefix = self.settings.prefix();
        let is_taken = self.pairs.iter().any(|(taken, _)| {
            let taken = taken.to_bytes().get(prefix.len()..).unwrap_or_default();
            taken.len() == name.len() && taken.iter().zip(name.bytes()).all(|(a, b)| cgi(*a) == cgi(b))
        });
        if !name.is_empty() && !is_taken {
            self.pairs.push((c_string([prefix, name].concat().as_bytes()), c_string(value)));
        }
    }
}

/// A string as it is, everything else as JSON.
fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether a claim's name can be a part of the name of a header (RFC 9110 §5.1).
fn is_field_name(claim: &str) -> bool {
    claim.chars().all(is_token_character)
}

/// A claim's name as a part of the name of a header: `-` for every character that cannot be in one.
fn field_name(claim: &str) -> String {
    claim.chars().map(|c| if is_token_character(c) { c } else { '-' }).collect()
}

/// RFC 9110 §5.6.2.
const fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '.' | '^' | '_' | '`' | '|' | '~'
        )
}

/// How CGI sees an octet of a header's name (RFC 3875 §4.1.18), and applications that follow it.
const fn cgi(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() { octet.to_ascii_uppercase() } else { b'_' }
}

/// Nothing that comes here has a NUL; if it had, the value would end there, as in C.
fn c_string(octets: &[u8]) -> CString {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    CString::new(octets.get(..end).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn target(options: &str) -> TargetSettings {
        TargetSettings::parse(options.as_bytes()).unwrap().0
    }

    fn pass(options: &str, claims: Value) -> Vec<(String, String)> {
        let passed = target(options).pass(claims.as_object().unwrap(), b"tok").unwrap();
        let text = |c: &CString| String::from_utf8_lossy(c.as_bytes()).into_owned();
        passed.pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn value(pairs: &[(String, String)], name: &str) -> Option<String> {
        pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn strings_as_they_are_and_the_rest_as_json() {
        let claims =
            json!({"sub": "joe", "n": 5, "r": 1.5, "b": true, "z": null, "a": ["x", 1], "o": {"k": "v"}});
        let pairs = pass("", claims);
        for (name, expected) in [
            ("sub", "joe"),
            ("n", "5"),
            ("r", "1.5"),
            ("b", "true"),
            ("z", "null"),
            ("a", r#"["x",1]"#),
            ("o", r#"{"k":"v"}"#),
            ("access_token", "tok"),
        ] {
            assert_eq!(value(&pairs, &format!("OAUTH2_CLAIM_{name}")).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn control_characters_never_reach_a_header() {
        let evil = "x\r\nX-Injected: yes\n\u{0}\u{7f}\u{85}\t";
        for encoding in ["none", "latin1", "base64url"] {
            let options = format!("encoding={encoding}&json_payload_claim=all");
            let claims = json!({"sub": "joe", "a": evil, "b": [evil], "o": {evil: evil}, evil: evil});
            let passed = target(&options).pass(claims.as_object().unwrap(), b"tok").unwrap();
            for (name, value) in &passed.pairs {
                for octet in name.as_bytes().iter().chain(value.as_bytes()) {
                    assert!(*octet >= 0x20 && *octet != 0x7f, "{encoding}: {name:?}: {value:?}");
                }
                assert!(encoding != "latin1" || value.as_bytes().iter().all(|o| !(0x80..0xa0).contains(o)));
            }
        }
        assert_eq!(
            value(&pass("", json!({"sub": "j", "a": "1\r\n2"})), "OAUTH2_CLAIM_a").as_deref(),
            Some("1??2")
        );
    }

    #[test]
    fn names_are_header_names() {
        let pairs =
            pass("", json!({"sub": "j", "https://x/roles": "r", "": "nothing", "a b": "1", "\u{e9}": "2"}));
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_https---x-roles").as_deref(), Some("r"));
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_a-b").as_deref(), Some("1"));
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_-").as_deref(), Some("2"));
        assert!(value(&pairs, "OAUTH2_CLAIM_").is_none());
    }

    #[test]
    fn no_claim_takes_the_place_of_another_or_of_the_token() {
        let claims = json!({"sub": "j", "a/b": "evil", "a-b": "good", "A_B": "EVIL", "access_token": "evil", "access token": "evil"});
        let pairs = pass("", claims);
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_access_token").as_deref(), Some("tok"));
        assert_eq!(pairs.iter().filter(|(name, _)| name.to_lowercase().contains("access")).count(), 1);
        let same: Vec<_> = pairs
            .iter()
            .filter(|(name, _)| name.to_uppercase().replace(['-', '/'], "_").ends_with("_A_B"))
            .collect();
        assert_eq!(same.len(), 1, "{same:?}");
        assert_ne!(same[0].1, "evil");
        // nor of a registered one
        let claims = json!({"SUB": "evil", "sub": "j", "Sub": "evil", "CLIENT-ID": "evil", "client-id": "evil", "client_id": "c"});
        let pairs = pass("", claims);
        assert!(pairs.iter().all(|(_, value)| value != "evil"), "{pairs:?}");
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_sub").as_deref(), Some("j"));
        assert_eq!(value(&pairs, "OAUTH2_CLAIM_client_id").as_deref(), Some("c"));
    }

    #[test]
    fn encodings() {
        let claims = json!({"sub": "j", "name": "J\u{f6}rg \u{20ac}"});
        assert_eq!(
            value(&pass("", claims.clone()), "OAUTH2_CLAIM_name").as_deref(),
            Some("J\u{f6}rg \u{20ac}")
        );
        let passed = target("encoding=latin1").pass(claims.as_object().unwrap(), b"t").unwrap();
        assert!(passed.pairs.iter().any(|(_, value)| value.as_bytes() == b"J\xf6rg ?"));
        let encoded = base64url::encode("J\u{f6}rg \u{20ac}".as_bytes());
        assert_eq!(value(&pass("encoding=base64url", claims), "OAUTH2_CLAIM_name"), Some(encoded));
    }

    #[test]
    fn the_user() {
        let user = |options: &str, claims: Value| {
            target(options)
                .pass(claims.as_object().unwrap(), b"t")
                .map(|passed| passed.user.into_string().unwrap())
        };
        assert_eq!(user("", json!({"sub": "joe"})).as_deref(), Ok("joe"));
        assert_eq!(
            user("remote_user_claim=email", json!({"sub": "j", "email": "a@b"})).as_deref(),
            Ok("a@b")
        );
        for sub in
            [json!(1), json!(""), json!(null), json!(["joe"]), json!("joe\r\nx"), json!("joe\u{0}admin")]
        {
            assert_eq!(user("", json!({"sub": sub})), Err(TokenFault::NoUser));
        }
        assert_eq!(user("", json!({})), Err(TokenFault::NoUser));
    }

    #[test]
    fn headers_that_only_we_may_set() {
        let settings = target("authn_header=X-Remote-User");
        for name in
            ["OAUTH2_CLAIM_sub", "OAUTH2-CLAIM-sub", "oauth2_claim_role", "Oauth2.Claim.x", "OAUTH2_CLAIM_"]
        {
            assert!(settings.is_ours(name.as_bytes()), "{name}");
        }
        for name in ["x-remote-user", "X_Remote_User", "X-REMOTE-USER"] {
            assert!(settings.is_ours(name.as_bytes()), "{name}");
        }
        for name in ["OAUTH2_CLAIM", "X-Remote-User-2", "XRemoteUser", "Authorization", ""] {
            assert!(!settings.is_ours(name.as_bytes()), "{name}");
        }
        assert!(target("prefix=X-").is_ours(b"x_anything"));
    }

    #[test]
    fn settings_merge_one_by_one() {
        let merged = target("headers=off").over(&target("prefix=P_&headers=on&envvars=off"));
        assert!(!merged.headers() && !merged.variables());
        assert_eq!(merged.prefix(), "P_");
        assert!(
            TargetSettings::parse(b"prefix=").is_err() && TargetSettings::parse(b"prefix=a%20b").is_err()
        );
        assert!(
            TargetSettings::parse(b"headers=maybe").is_err()
                && TargetSettings::parse(b"encoding=utf8").is_err()
        );
    }

    proptest! {
        #[test]
        fn whatever_the_claims_every_pair_is_clean(name in ".{0,12}", text in ".{0,40}", latin1: bool) {
            let options = if latin1 { "encoding=latin1" } else { "" };
            let passed = target(options).pass(json!({"sub": "j", name: text}).as_object().unwrap(), b"t");
            for (name, value) in passed.map(|passed| passed.pairs).unwrap_or_default() {
                prop_assert!(crate::options::is_header_name(name.to_str().unwrap()));
                prop_assert!(value.as_bytes().iter().all(|octet| *octet >= 0x20 && *octet != 0x7f));
            }
        }
    }
}
