//! Where tokens are found in a request, and that a token that is taken out is gone.

use std::ffi::CStr;

use sender_constraint::token_source::{Request, Strip, TokenSource, TokenSources, check};

use crate::input::Choices;
use crate::slow;

/// A request of any octets.
#[derive(Clone, Default)]
struct Incoming {
    authorization: Option<Vec<u8>>,
    cookie: Option<Vec<u8>>,
    other: Option<Vec<u8>>,
    variable: Option<Vec<u8>>,
    query: Option<Vec<u8>>,
    body: Vec<u8>,
    content_type: Option<Vec<u8>>,
    method: &'static [u8],
}

impl Request for Incoming {
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        match name.to_bytes().to_ascii_lowercase().as_slice() {
            b"authorization" => self.authorization.as_deref(),
            b"cookie" => self.cookie.as_deref(),
            b"x-token" => self.other.as_deref(),
            b"content-type" => self.content_type.as_deref(),
            _ => None,
        }
    }

    fn environment(&self, _: &CStr) -> Option<&[u8]> {
        self.variable.as_deref()
    }

    fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }

    fn method(&self) -> &[u8] {
        self.method
    }

    fn form_body(&self) -> Result<&[u8], &'static str> {
        if self.body == b"broken" { Err("cut off") } else { Ok(&self.body) }
    }
}

const PLACES: [(&str, &str); 7] = [
    ("header", "strip=on"),
    ("header", "strip=on&name=X-Token&type="),
    ("environment", "strip=on&name=T"),
    ("query", "strip=on"),
    ("post", "strip=on"),
    ("cookie", "strip=on&name=t"),
    ("basic", "strip=on"),
];

/// Places that accept tokens, and a request.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let wanted = choices.octet();
    let chosen: Vec<_> = (0..7).filter(|place| wanted >> place & 1 == 1).map(|place| PLACES[place]).collect();
    let parse =
        |(kind, options): (&str, &str)| TokenSource::parse(kind, options.as_bytes()).expect("sound").0;
    let sources = TokenSources::new(chosen.iter().copied().map(parse).collect());
    let request = request(&mut choices);
    let Ok(presented) = sources.extract(&request) else { return };
    assert!(!presented.token.is_empty());
    let token = presented.token.to_vec();
    if let Ok(text) = check(&token) {
        assert!(text.bytes().all(|octet| (0x21..0x7f).contains(&octet) && octet != b','));
    }
    if presented.in_query {
        assert_eq!(in_query(&request), Some(token));
    }
    let Some(strip) = presented.strip else { return assert!(chosen.is_empty()) };
    let mut stripped = request.clone();
    apply(&mut stripped, strip);
    untouched(&request, &stripped);
    assert!(sources.extract(&stripped).is_err(), "the token is still there");
}

fn request(choices: &mut Choices<'_>) -> Incoming {
    let mut part = || if choices.rarely(3) { None } else { Some(choices.some().to_vec()) };
    let (authorization, cookie, other) = (part(), part(), part());
    let (variable, query, content_type) = (part(), part(), part());
    let method = *choices.one(&[&b"POST"[..], b"GET", b"PUT"]);
    let form = b"application/x-www-form-urlencoded".to_vec();
    let content_type = if choices.rarely(2) { content_type } else { Some(form) };
    let body = choices.rest().to_vec();
    Incoming { authorization, cookie, other, variable, query, body, content_type, method }
}

/// The one parameter `access_token`, if there is exactly one.
fn in_query(request: &Incoming) -> Option<Vec<u8>> {
    let pairs = slow::form::pairs(request.query.as_deref()?);
    let mut values =
        pairs.iter().filter(|(name, _)| slow::form::decode(name).is_some_and(|name| name == b"access_token"));
    let (_, value) = values.next()?;
    if values.next().is_some() { None } else { slow::form::decode(value) }
}

fn apply(request: &mut Incoming, strip: Strip) {
    match strip {
        Strip::Header { name, value } => match name.to_bytes() {
            b"Authorization" => request.authorization = value,
            b"Cookie" => request.cookie = value,
            b"X-Token" => request.other = value,
            other => panic!("strips {other:?}"),
        },
        Strip::Environment { .. } => request.variable = None,
        Strip::Query(query) => request.query = query,
        Strip::Form(form) => request.body = form,
    }
}

/// Parameters and cookies that are no token stay, in their order and with their octets.
fn untouched(before: &Incoming, after: &Incoming) {
    let others = |form: &[u8]| {
        let mut pairs = slow::form::pairs(form);
        pairs.retain(|(name, _)| slow::form::decode(name).is_none_or(|name| name != b"access_token"));
        pairs
    };
    let of_query = |request: &Incoming| others(request.query.as_deref().unwrap_or_default());
    assert_eq!(of_query(before), of_query(after));
    assert_eq!(others(&before.body), others(&after.body));
    let cookies = |request: &Incoming| {
        let field = request.cookie.clone().unwrap_or_default();
        let crumbs = field.split(|octet| *octet == b';').map(|crumb| crumb.trim_ascii().to_vec());
        let name = |crumb: &[u8]| {
            crumb.split(|octet| *octet == b'=').next().unwrap_or_default().trim_ascii() == b"t"
        };
        crumbs.filter(|crumb| !crumb.is_empty() && !name(crumb)).collect::<Vec<_>>()
    };
    assert_eq!(cookies(before), cookies(after));
}
