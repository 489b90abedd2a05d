//! The language of the `OAuth2...` directives: an option is either honoured as written or an error, and no error repeats a
//! secret.

use sender_constraint::cache_config::CacheConfig;
use sender_constraint::options::Options;
use sender_constraint::require::{ClaimRequirement, SenderConstrained};
use sender_constraint::schema::{self, Kind};
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::TokenSource;
use sender_constraint::verifier_config::VerifierConfig;

use crate::input::Choices;
use crate::slow;

/// Types of the directives, and something that is none.
const VERIFIERS: [&str; 13] = [
    "jwk",
    "jwks_uri",
    "metadata",
    "introspect",
    "pem",
    "pubkey",
    "plain",
    "base64",
    "base64url",
    "hex",
    "eckey_uri",
    "aws_alb",
    "jwkk",
];
const SOURCES: [&str; 7] = ["header", "environment", "query", "post", "cookie", "basic", "heder"];
const CACHES: [&str; 6] = ["shm", "memcache", "file", "redis", "socache", "shmem"];
const SECRET: &str = "Hush-4f1c";

/// A directive, its value, and any octets as its options or options made of known ones.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (directive, kind) = (choices.below(4), choices.octet());
    let value = value(&mut choices);
    let options = if choices.rarely(3) { choices.rest().to_vec() } else { written(&mut choices) };
    let kind_of = |kinds: &'static [&str]| kinds[usize::from(kind) % kinds.len()];
    let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let error = match directive {
        0 => VerifierConfig::parse(kind_of(&VERIFIERS), &value, &options, &read).err(),
        1 => TokenSource::parse(kind_of(&SOURCES), &options).err(),
        2 => TargetSettings::parse(&options).err(),
        _ => CacheConfig::parse(kind_of(&CACHES), &options, "/run").err(),
    };
    // only the text before the equals sign may be repeated
    let in_a_name = slow::form::pairs(&options).iter().any(|(name, _)| {
        let decoded = slow::form::decode(name).unwrap_or_else(|| name.clone());
        [name, &decoded].iter().any(|name| String::from_utf8_lossy(name).contains(SECRET))
    });
    if let Some(error) = error.filter(|_| !in_a_name && !value.contains(SECRET)) {
        let text = error.to_string();
        assert!(!text.contains(SECRET), "an error repeats the value of an option: {text}");
    }
    language(&options);
    requirements(&value, &options);
    crate::nothing_left_in_openssl();
}

fn value(choices: &mut Choices<'_>) -> String {
    let known = [
        "https://as.example/jwks",
        "http://127.0.0.1/x",
        "file:///etc/key.pem",
        "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/x/0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "/etc/key.pem",
    ];
    match choices.below(8) {
        number @ 0..6 => known[number].to_owned(),
        6 => String::from_utf8_lossy(&crate::jwks::document(choices)).into_owned(),
        _ => choices.text(),
    }
}

/// Options that exist, with values that may fit, some of them a secret.
fn written(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..choices.below(6) {
        let group = choices.one(schema::ALL);
        let spec = choices.one(group.specs);
        let value = match (choices.below(4), spec.kind) {
            (0, _) => SECRET.to_owned(),
            (1, _) => choices.text(),
            (_, Kind::Words(words)) => (*choices.one(words)).to_owned(),
            (_, Kind::Number { least, most, .. }) => {
                (*choices.one(&[least, most, least.saturating_sub(1), most + 1])).to_string()
            }
            (_, Kind::Flag) => (*choices.one(&["on", "OFF", "true", "0", "yes"])).to_owned(),
            _ => "x".to_owned(),
        };
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend(format!("{}{}={value}", group.prefix, spec.name).into_bytes());
    }
    if choices.rarely(4) {
        choices.change(&mut text);
    }
    text
}

/// What is accepted is, name by name, what a slow reader finds; and nothing is accepted twice or ignored.
fn language(text: &[u8]) {
    let Ok((options, _)) = Options::parse(text, schema::ALL) else { return };
    let decode = |part: &[u8]| slow::form::decode(part).and_then(|octets| String::from_utf8(octets).ok());
    let pairs: Option<Vec<_>> =
        slow::form::pairs(text).iter().map(|(name, value)| decode(name).zip(decode(value))).collect();
    let pairs = pairs.expect("an option was accepted that cannot be decoded");
    for (at, (name, value)) in pairs.iter().enumerate() {
        assert!(pairs[..at].iter().all(|(earlier, _)| earlier != name), "{name} twice");
        assert_eq!(options.text(name), Some(value.as_str()));
        let kind = schema::ALL.iter().find_map(|group| group.find(name)).expect("known").kind;
        let lower = value.to_ascii_lowercase();
        match kind {
            Kind::Text | Kind::Form | Kind::HeaderName => assert!(!value.is_empty()),
            Kind::Any => (),
            Kind::Flag => {
                assert_eq!(options.flag(name), Some(["true", "on", "1"].contains(&lower.as_str())));
                assert!(["true", "on", "1", "false", "off", "0"].contains(&lower.as_str()));
            }
            Kind::Number { least, most, .. } => {
                let number = options.number(name).expect("a number");
                assert!(
                    least <= number && number <= most && value.bytes().all(|octet| octet.is_ascii_digit())
                );
                assert_eq!(value.trim_start_matches('0'), number.to_string().trim_start_matches('0'));
            }
            Kind::Words(words) => assert!(words.contains(&lower.as_str())),
        }
    }
}

/// `Require` lines of any words.
fn requirements(first: &str, rest: &[u8]) {
    let rest = String::from_utf8_lossy(rest);
    if let Ok(requirement) = ClaimRequirement::parse([first, &rest]) {
        assert!(!requirement.holds(&sender_constraint::json::Object::new()), "holds without a claim");
        let _ = requirement.scope();
    }
    let words: Vec<_> = rest.split_ascii_whitespace().collect();
    let known = |word: &&str| ["mtls", "token-binding"].contains(&word.to_ascii_lowercase().as_str());
    assert_eq!(SenderConstrained::parse(words.iter().copied()).is_ok(), words.iter().all(known));
}
