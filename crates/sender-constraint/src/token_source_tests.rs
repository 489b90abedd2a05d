use super::*;
use proptest::prelude::*;
use std::cell::Cell;

#[derive(Default)]
struct Fake {
    headers: Vec<(&'static str, Vec<u8>)>,
    environment: Option<&'static str>,
    query: Option<&'static str>,
    method: Option<&'static str>,
    body: Option<&'static str>,
    body_read: Cell<bool>,
}

impl Request for Fake {
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        let name = name.to_str().unwrap();
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
    fn environment(&self, name: &CStr) -> Option<&[u8]> {
        self.environment.filter(|_| name == c"access_token").map(str::as_bytes)
    }
    fn query(&self) -> Option<&[u8]> {
        self.query.map(str::as_bytes)
    }
    fn method(&self) -> &[u8] {
        self.method.unwrap_or("GET").as_bytes()
    }
    fn form_body(&self) -> Result<&[u8], &'static str> {
        self.body_read.set(true);
        self.body.map(str::as_bytes).ok_or("body is too long")
    }
}

fn sources(lines: &[(&str, &str)]) -> TokenSources {
    TokenSources::new(
        lines.iter().map(|(kind, options)| TokenSource::parse(kind, options.as_bytes()).unwrap().0).collect(),
    )
}

fn with(name: &'static str, value: &str) -> Fake {
    Fake { headers: vec![(name, value.as_bytes().to_vec())], ..Fake::default() }
}

fn token(sources: &TokenSources, request: &Fake) -> Result<String, Refusal> {
    check(&sources.extract(request)?.token).map(str::to_owned)
}

#[test]
fn authorization_bearer_is_the_default() {
    let default = TokenSources::default();
    for value in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "] {
        assert_eq!(token(&default, &with("Authorization", value)).as_deref(), Ok("abc"), "{value}");
    }
    for value in ["Basic abc", "Bearerabc", "DPoP abc", "", "Bear", "Bearer\tabc", "Bearer_ abc"] {
        assert_eq!(token(&default, &with("Authorization", value)), Err(Refusal::NoToken), "{value}");
    }
    for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer a,b", "Bearer a\tb"] {
        let refusal = token(&default, &with("Authorization", value)).unwrap_err();
        assert_eq!(refusal.status(), 400, "{value}");
    }
    let elsewhere = Fake { query: Some("access_token=abc"), environment: Some("abc"), ..Fake::default() };
    assert_eq!(token(&default, &elsewhere), Err(Refusal::NoToken));
    assert_eq!(default.scheme(), Scheme::Bearer);
}

#[test]
fn other_headers_and_schemes() {
    let plain = sources(&[("header", "name=X-Token&type=")]);
    assert_eq!(token(&plain, &with("x-token", " abc ")).as_deref(), Ok("abc"));
    assert_eq!(token(&plain, &with("x-token", "Bearer abc")).unwrap_err().status(), 400);
    let dpop = sources(&[("header", "type=DPoP")]);
    assert_eq!(token(&dpop, &with("Authorization", "DPoP abc")).as_deref(), Ok("abc"));
    assert_eq!(token(&dpop, &with("Authorization", "Bearer abc")), Err(Refusal::NoToken));
}

#[test]
fn two_tokens_are_one_too_many() {
    let both = sources(&[("header", ""), ("query", "")]);
    let mut request = with("Authorization", "Bearer abc");
    assert_eq!(token(&both, &request).as_deref(), Ok("abc"));
    request.query = Some("x=1&access_token=abc");
    assert_eq!(token(&both, &request), Err(Refusal::SeveralTokens));
    let query = sources(&[("query", "")]);
    let twice = Fake { query: Some("access_token=a&access%5ftoken=a"), ..Fake::default() };
    assert_eq!(token(&query, &twice), Err(Refusal::SeveralTokens));
    let cookies = with("Cookie", "access_token=a; access_token=b");
    assert_eq!(token(&sources(&[("cookie", "")]), &cookies), Err(Refusal::SeveralTokens));
}

#[test]
fn queries() {
    let query = sources(&[("query", "strip=on")]);
    let found = |query: &'static str| Fake { query: Some(query), ..Fake::default() };
    assert_eq!(token(&query, &found("access_token=a%2Eb")).as_deref(), Ok("a.b"));
    assert_eq!(token(&query, &found("xaccess_token=a")), Err(Refusal::NoToken));
    assert_eq!(token(&query, &found("access_token=")).unwrap_err().status(), 400);
    assert_eq!(token(&query, &found("access_token=%zz")).unwrap_err().status(), 400);
    let strip = |text| query.extract(&found(text)).unwrap().strip.unwrap();
    assert_eq!(strip("a=1&access%5Ftoken=x&b=2"), Strip::Query(Some(b"a=1&b=2".to_vec())));
    assert_eq!(strip("access_token=x"), Strip::Query(None));
}

#[test]
fn forms_only_where_they_are_forms() {
    let post = sources(&[("post", "strip=on")]);
    let form = |content_type: Option<&str>, method| Fake {
        headers: content_type.map(|value| ("Content-Type", value.as_bytes().to_vec())).into_iter().collect(),
        method: Some(method),
        body: Some("a=1&access_token=abc"),
        ..Fake::default()
    };
    let type_ = "Application/x-www-form-urlencoded; charset=utf-8";
    let request = form(Some(type_), "POST");
    let presented = post.extract(&request).unwrap();
    assert_eq!(&*presented.token, b"abc");
    assert_eq!(presented.strip, Some(Strip::Form(b"a=1".to_vec())));
    assert!(token(&post, &form(Some(type_), "PATCH")).is_ok(), "any method with a body");
    assert!(token(&post, &form(Some(type_), "PROPFIND")).is_ok());
    for (content_type, method) in
        [(None, "POST"), (Some(""), "POST"), (Some("text/plain"), "POST"), (Some(type_), "GET")]
    {
        let request = form(content_type, method);
        assert_eq!(token(&post, &request), Err(Refusal::NoToken));
        assert!(!request.body_read.get(), "a body that is no form is left alone");
    }
    let mut long = form(Some(type_), "POST");
    long.body = None;
    assert_eq!(token(&post, &long), Err(Refusal::MalformedRequest("body is too long")));
}

#[test]
fn cookies() {
    let cookie = sources(&[("cookie", "name=at&strip=on")]);
    let request = with("Cookie", "a=1; at=abc%3D ;b=2");
    let presented = cookie.extract(&request).unwrap();
    assert_eq!(&*presented.token, b"abc=");
    let Some(Strip::Header { name, value }) = presented.strip else { panic!() };
    assert_eq!((name.as_c_str(), value.as_deref()), (c"Cookie", Some(&b"a=1; b=2"[..])));
    assert_eq!(token(&cookie, &with("Cookie", "at=")), Err(Refusal::NoToken));
    assert_eq!(token(&cookie, &with("Cookie", "xat=1; at")), Err(Refusal::NoToken));
}

#[test]
fn basic_passwords() {
    let basic = sources(&[("basic", "")]);
    assert_eq!(basic.scheme(), Scheme::Basic);
    let request = with("Authorization", &format!("Basic {}", STANDARD.encode("joe:abc:d")));
    assert_eq!(token(&basic, &request).as_deref(), Ok("abc:d"));
    for value in [
        "Basic !",
        &format!("Basic {}", STANDARD.encode("joe")),
        &format!("Basic {}", STANDARD.encode("joe:")),
    ] {
        assert_eq!(token(&basic, &with("Authorization", value)).unwrap_err().status(), 400, "{value}");
    }
    assert_eq!(token(&basic, &with("Authorization", "Bearer abc")), Err(Refusal::NoToken));
}

#[test]
fn stripping_is_honoured_and_off_by_default() {
    let request = with("Authorization", "Bearer abc");
    let strip = |options| sources(&[("header", options)]).extract(&request).unwrap().strip;
    assert_eq!(strip(""), None);
    assert_eq!(strip("strip=off"), None);
    assert_eq!(strip("strip=1"), Some(Strip::Header { name: c"Authorization".to_owned(), value: None }));
    let environment = Fake { environment: Some("abc"), ..Fake::default() };
    let stripped = sources(&[("environment", "")]).extract(&environment).unwrap().strip;
    assert_eq!(stripped, Some(Strip::Environment { name: c"access_token".to_owned() }));
}

#[test]
fn configuration_errors() {
    let error = |kind, options: &str| TokenSource::parse(kind, options.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("body", ""), "the type must be environment, header, query, post, cookie or basic");
    assert!(error("query", "type=Bearer").starts_with("unknown option type"));
    assert!(error("header", "name=a%20b").contains("name of a header"));
    assert!(error("header", "type=a%20b").contains("authentication scheme"));
    assert!(error("header", "strip=yes").contains("true, false, on, off, 1 or 0"));
}

#[test]
fn what_can_be_a_token() {
    assert_eq!(check(b"aA0-._~+/="), Ok("aA0-._~+/="));
    for token in [&b"a b"[..], b"a,b", b"a\tb"] {
        assert_eq!(check(token).unwrap_err().status(), 400);
    }
    for token in [&b"a\nb"[..], b"a\0", b"\xff", "\u{e9}".as_bytes(), b"\x7f", &[b'a'; MAX_TOKEN + 1]] {
        assert_eq!(check(token).unwrap_err().error(), Some("invalid_token"));
    }
    assert!(check(&[b'a'; MAX_TOKEN]).is_ok());
}

proptest! {
    #[test]
    fn garbage_never_panics(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let all = sources(&[("header", ""), ("basic", ""), ("cookie", "")]);
        for name in ["Authorization", "Cookie"] {
            let request = Fake { headers: vec![(name, value.clone())], ..Fake::default() };
            let _ = all.extract(&request).and_then(|presented| check(&presented.token).map(str::to_owned));
        }
    }
}
