//! Claims: which are accepted, and what variables and headers become of them.

use sender_constraint::claim_rules::{ClaimRules, Origin};
use sender_constraint::json::{Object, parse_object};
use sender_constraint::options::Options;
use sender_constraint::require::ClaimRequirement;
use sender_constraint::schema;
use sender_constraint::target::TargetSettings;

use crate::input::Choices;
use crate::slow::json::Json;
use crate::{fit_for_a_header, slow};

const TARGETS: [&str; 6] = [
    "",
    "encoding=latin1",
    "encoding=base64url",
    "prefix=X-&json_payload_claim=all&authn_header=X-User",
    "remote_user_claim=a&encoding=latin1&json_payload_claim=sub",
    "prefix=a&remote_user_claim=exp",
];
const RULES: [&str; 6] = [
    "",
    "verify.exp=optional&verify.leeway=30&verify.nbf=required",
    "verify.exp=skip&verify.iat=required&verify.iat.slack_before=50&verify.iat.slack_after=5",
    "iss=a&aud=b",
    "iss=a&verify.iss=optional&aud=b&verify.aud=optional",
    "verify.iat=skip&verify.nbf=skip&verify.leeway=300",
];
const NOW: i64 = 1000;

/// Settings, and any octets as claims.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (target, rules, spec) = (*choices.one(&TARGETS), *choices.one(&RULES), choices.text());
    let text = choices.rest();
    let Ok(claims) = parse_object(text) else { return };
    let read = slow::json::parse_object(text).expect("read by one");
    passed(target, &claims);
    let (options, _) = Options::parse(rules.as_bytes(), &[schema::CLAIM_RULES]).expect("sound");
    let ours = ClaimRules::from_options(&options, Origin::Jwt).expect("sound").check(&claims, NOW);
    assert_eq!(ours.ok(), expected(&options, &read), "{rules}");
    required(&spec, &claims, &read);
}

/// How CGI sees a header's name.
fn cgi(name: &[u8]) -> String {
    slow::negotiation::cgi_name(name)
}

fn passed(options: &str, claims: &Object) {
    let (settings, _) = TargetSettings::parse(options.as_bytes()).expect("sound");
    let token = b"a.b-c_d";
    let Ok(passed) = settings.pass(claims, token) else { return };
    let user = passed.user.to_str().expect("UTF-8");
    assert!(!user.is_empty() && !user.chars().any(char::is_control));
    fit_for_a_header(passed.user_header.to_bytes());
    let mut seen = std::collections::HashSet::new();
    for (name, value) in &passed.pairs {
        let (name, value) = (name.to_bytes(), value.to_bytes());
        fit_for_a_header(value);
        // RFC 9110 §5.1: a name that httpd and every backend take for a header's
        let is_token = |o: &u8| o.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(o);
        assert!(name.iter().all(is_token), "{name:?}");
        assert!(name.starts_with(settings.prefix().as_bytes()) && name.len() > settings.prefix().len());
        assert!(settings.is_ours(name) && settings.may_begin_ours(name[0]), "a client could send {name:?}");
        assert!(seen.insert(cgi(name)), "two headers are one to CGI: {name:?}");
    }
    let token_name = cgi(format!("{}access_token", settings.prefix()).as_bytes());
    let of_token = passed.pairs.iter().find(|(name, _)| cgi(name.to_bytes()) == token_name);
    assert_eq!(
        of_token.map(|(_, value)| value.to_bytes()),
        Some(&token[..]),
        "a claim took the token's place"
    );
}

/// A NumericDate as a fraction, never rounded: an integer and what is after the point.
fn date(claims: &Json, name: &str, mode: &str) -> Result<Option<f64>, ()> {
    match (mode, claims.get(name)) {
        ("skip", _) | ("optional", None) => Ok(None),
        ("required", None) => Err(()),
        (_, Some(Json::Number(text))) => text.parse().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

/// RFC 7519 §4.1, in doubles: until when the claims are good, or `None` where they are not.
fn expected(options: &Options, claims: &Json) -> Option<Option<i64>> {
    let mode = |name: &str, default: &str| options.text(name).unwrap_or(default).to_owned();
    let seconds = |name: &str, default: f64| options.number(name).map_or(default, |number| number as f64);
    let (now, leeway) = (NOW as f64, seconds("verify.leeway", 0.0));
    for name in ["iss", "aud"] {
        let Some(wanted) = options.text(name) else { continue };
        let is_wanted = |value: &Json| value.text() == Some(wanted);
        let fits = match claims.get(name) {
            None => mode(&format!("verify.{name}"), "required") == "optional",
            Some(Json::Array(values)) if name == "aud" => values.iter().any(is_wanted),
            Some(value) => is_wanted(value),
        };
        if !fits {
            return None;
        }
    }
    let exp = date(claims, "exp", &mode("verify.exp", "required")).ok()?;
    let nbf = date(claims, "nbf", &mode("verify.nbf", "optional")).ok()?;
    let iat = date(claims, "iat", &mode("verify.iat", "optional")).ok()?;
    let oldest = now - seconds("verify.iat.slack_before", f64::INFINITY);
    // fractions count against the token
    let sound = exp.is_none_or(|exp| now < exp.floor() + leeway)
        && nbf.is_none_or(|nbf| now + leeway >= nbf.ceil())
        && iat.is_none_or(|iat| {
            iat.floor() >= oldest && iat.floor() <= now + seconds("verify.iat.slack_after", 10.0)
        });
    let exact = claims.get("exp").and_then(|exp| match exp {
        Json::Number(text) => text.parse().ok(),
        _ => None,
    });
    sound.then(|| exp.map(|exp| exact.unwrap_or(exp.floor() as i64)))
}

/// `Require oauth2_claim name:text` on a claim whose name has no operator in it.
fn required(spec: &str, claims: &Object, read: &Json) {
    let Ok(requirement) = ClaimRequirement::parse([spec]) else { return };
    let holds = requirement.holds(claims);
    let Some((name, wanted)) = spec.split_once(':') else { return };
    let simple = !spec.contains('~') && !wanted.contains(':') && !name.contains('.');
    if let (true, Some(Json::String(text))) = (simple, read.get(name)) {
        let among = name == "scope" && text.split(' ').any(|scope| scope == wanted);
        assert_eq!(holds, text == wanted || among, "{spec}");
    }
    if simple && read.get(name).is_none() && !name.is_empty() {
        assert!(!holds, "{spec} holds without the claim");
    }
}
