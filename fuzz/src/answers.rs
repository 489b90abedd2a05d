//! What an authorization server may answer: introspection, metadata, how long to keep it, and URLs.

use sender_constraint::exchange::{Answer, check_url, max_age};
use sender_constraint::introspection::{Introspected, read_answer};
use sender_constraint::metadata::Metadata;

use crate::input::Choices;
use crate::slow;
use crate::slow::json::Json;

/// Where metadata may have been found, and whose it is by that.
const PLACES: [(&str, Option<&str>); 5] = [
    ("https://as.example/.well-known/oauth-authorization-server", Some("https://as.example")),
    ("https://as.example/.well-known/oauth-authorization-server/one", Some("https://as.example/one")),
    ("https://as.example/two/.well-known/openid-configuration", Some("https://as.example/two")),
    ("https://as.example/metadata.json", None),
    ("http://127.0.0.1/.well-known/oauth-authorization-server", Some("http://127.0.0.1")),
];

/// A status, a place, and any octets as a body, as `Cache-Control` and as a URL.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let status = *choices.one(&[200, 200, 200, 200, 204, 401, 500]);
    let (place, named) = (*choices.one(&PLACES), choices.rarely(2));
    let body = choices.rest();
    introspection(status, body);
    metadata(place, named, body);
    let text = String::from_utf8_lossy(body);
    url(&text);
    freshness(&text);
}

/// RFC 7662 §2.2: nothing but the JSON word `true` makes a token active.
fn introspection(status: u16, body: &[u8]) {
    let read = slow::json::parse_object(body);
    let active = read.as_ref().and_then(|read| read.get("active"));
    let expected = match active {
        Some(Json::Bool(active)) if status == 200 => Some(*active),
        _ => None,
    };
    let answer = Answer { status, cache_control: None, body: body.to_vec() };
    match read_answer(&answer) {
        Ok(Introspected::Active(claims)) => {
            assert_eq!(expected, Some(true));
            crate::json::same(&serde_json::Value::Object(claims), &read.expect("read by one"));
        }
        Ok(Introspected::Inactive) => assert_eq!(expected, Some(false)),
        Err(_) => assert_eq!(expected, None),
    }
}

/// RFC 8414 §3.3: never another issuer's, never less protected.
fn metadata((place, owner): (&str, Option<&str>), named: bool, body: &[u8]) {
    let issuer = named.then_some("https://named.example");
    let Ok(metadata) = Metadata::parse(body, place, issuer) else { return };
    let read = slow::json::parse_object(body).expect("refused by one");
    assert_eq!(read.get("issuer").and_then(Json::text), Some(metadata.issuer.as_str()));
    match issuer.or(owner) {
        Some(owner) if named => assert_eq!(metadata.issuer, owner),
        Some(owner) => assert_eq!(metadata.issuer.trim_end_matches('/'), owner),
        None => (),
    }
    assert!(metadata.jwks_uri.is_some() || metadata.introspection_endpoint.is_some());
    for (name, found) in
        [("jwks_uri", &metadata.jwks_uri), ("introspection_endpoint", &metadata.introspection_endpoint)]
    {
        assert_eq!(read.get(name).and_then(Json::text), found.as_deref());
        let Some(found) = found else { continue };
        assert!(
            found.starts_with("https://") || place.starts_with("http://") && found.starts_with("http://")
        );
        is_sound(found);
    }
}

fn is_sound(url: &str) {
    assert!(url.bytes().all(|octet| octet > b' ' && octet != 0x7f), "{url}");
    let authority: String = url.split('/').nth(2).unwrap_or_default().into();
    assert!(!authority.split(['?', '#']).next().unwrap_or_default().contains('@'), "{url}");
    assert!(!authority.is_empty(), "{url}");
}

fn url(text: &str) {
    for schemes in [&["https"][..], &["https", "http"]] {
        if check_url(text, schemes).is_ok() {
            assert!(schemes.iter().any(|scheme| text.starts_with(&format!("{scheme}://"))));
            is_sound(text);
        }
    }
}

/// RFC 9111 §5.2.2: what must not be stored is never fresh.
fn freshness(text: &str) {
    let directives: Vec<_> = text.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
    let forbidden = directives.iter().any(|directive| directive == "no-store" || directive == "no-cache");
    let age = max_age(Some(text));
    assert!(!forbidden || age.is_some_and(|age| age.is_zero()));
    if let (Some(age), false) = (age, forbidden) {
        let seconds = age.as_secs().to_string();
        assert!(directives.iter().any(|directive| directive.starts_with("max-age") && {
            let digits = directive.rsplit('=').next().unwrap_or_default();
            digits.trim().trim_matches('"').trim_start_matches(['+', '0']) == seconds.trim_start_matches('0')
        }));
    }
}
