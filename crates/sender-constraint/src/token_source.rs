//! Where access tokens are accepted (`OAuth2AcceptTokenIn`; RFC 6750 §2) and how they are taken out of a request.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::challenge::Scheme;
use crate::form;
use crate::jwt::MAX_TOKEN;
use crate::options::{OptionError, Options, Warning, is_header_name};
use crate::refusal::{Refusal, TokenFault};
use crate::schema;

/// What extraction may see of a request. Header values are octets.
pub trait Request {
    /// The value of a header, several lines joined by `, ` as httpd does it.
    fn header(&self, name: &CStr) -> Option<&[u8]>;
    /// A variable of the request's environment.
    fn environment(&self, name: &CStr) -> Option<&[u8]>;
    /// What follows the `?`.
    fn query(&self) -> Option<&[u8]>;
    /// The method.
    fn method(&self) -> &[u8];
    /// The whole body; asked for only where a token is accepted in it, for a form, and for a method that has one.
    ///
    /// # Errors
    ///
    /// What is wrong with the body: too long, cut off.
    fn form_body(&self) -> Result<&[u8], &'static str>;
}

/// One place where a token is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// RFC 6750 §2.1. Without a scheme the whole value is the token.
    Header { name: CString, scheme: Option<String> },
    /// A variable that another module has set.
    Environment { name: CString },
    /// RFC 6750 §2.3.
    Query { name: String },
    /// RFC 6750 §2.2.
    Post { name: String },
    /// A cookie.
    Cookie { name: String },
    /// The password of RFC 7617.
    Basic,
}

/// A place and whether the token is to be taken out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    place: Place,
    strip: bool,
}

/// The accepted words of the directive's first argument.
const TYPES: &str = "environment, header, query, post, cookie or basic";

impl TokenSource {
    /// Reads the arguments of `OAuth2AcceptTokenIn`.
    ///
    /// # Errors
    ///
    /// An unknown type, or options that do not go with it.
    pub fn parse(kind: &str, options: &[u8]) -> Result<(Self, Vec<Warning>), OptionError> {
        let groups: &[_] = match kind {
            "header" => &[schema::ACCEPT, schema::ACCEPT_NAME, schema::ACCEPT_HEADER],
            "environment" | "query" | "post" | "cookie" => &[schema::ACCEPT, schema::ACCEPT_NAME],
            "basic" => &[schema::ACCEPT],
            _ => return Err(OptionError::Combination(format!("the type must be {TYPES}"))),
        };
        let (options, warnings) = Options::parse(options, groups)?;
        let name =
            options.text("name").unwrap_or(if kind == "header" { "Authorization" } else { "access_token" });
        let place = match kind {
            "header" => header(name, options.text("type"))?,
            "environment" => Place::Environment { name: c_string(name)? },
            "query" => Place::Query { name: name.to_owned() },
            "post" => Place::Post { name: name.to_owned() },
            "cookie" => Place::Cookie { name: name.to_owned() },
            _ => Place::Basic,
        };
        let strip = options.flag("strip").unwrap_or(kind == "environment");
        Ok((Self { place, strip }, warnings))
    }

    /// The default: `Authorization: Bearer`.
    #[must_use]
    pub fn bearer() -> Self {
        let place = Place::Header { name: c"Authorization".to_owned(), scheme: Some("Bearer".to_owned()) };
        Self { place, strip: false }
    }

    fn find<'r, R: Request + ?Sized>(&self, request: &'r R) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
        match &self.place {
            Place::Header { name, scheme } => match request.header(name) {
                Some(value) => credentials(value, scheme.as_deref()),
                None => Ok(None),
            },
            Place::Environment { name } => {
                Ok(request.environment(name).filter(|v| !v.is_empty()).map(Cow::Borrowed))
            }
            Place::Query { name } => parameter(request.query().unwrap_or_default(), name),
            Place::Post { name } if has_form(request) => {
                parameter(request.form_body().map_err(Refusal::MalformedRequest)?, name)
            }
            Place::Post { .. } => Ok(None),
            Place::Cookie { name } => cookie(request.header(c"Cookie").unwrap_or_default(), name),
            Place::Basic => request.header(c"Authorization").map_or(Ok(None), password),
        }
    }

    fn strip<R: Request + ?Sized>(&self, request: &R) -> Result<Option<Strip>, Refusal> {
        if !self.strip {
            return Ok(None);
        }
        Ok(Some(match &self.place {
            Place::Header { name, .. } => Strip::Header { name: name.clone(), value: None },
            Place::Basic => Strip::Header { name: c"Authorization".to_owned(), value: None },
            Place::Environment { name } => Strip::Environment { name: name.clone() },
            Place::Query { name } => Strip::Query(without(request.query().unwrap_or_default(), name)),
            Place::Post { name } => Strip::Form(
                without(request.form_body().map_err(Refusal::MalformedRequest)?, name).unwrap_or_default(),
            ),
            Place::Cookie { name } => Strip::Header {
                name: c"Cookie".to_owned(),
                value: without_cookie(request.header(c"Cookie").unwrap_or_default(), name),
            },
        }))
    }
}

fn c_string(text: &str) -> Result<CString, OptionError> {
    CString::new(text).map_err(|_| OptionError::Encoding("name".into()))
}

fn header(name: &str, scheme: Option<&str>) -> Result<Place, OptionError> {
    if !is_header_name(name) {
        return Err(OptionError::ill_typed("name", "the name of a header"));
    }
    let scheme = match scheme {
        None => Some("Bearer"),
        Some("") => None,
        Some(scheme) if is_header_name(scheme) => Some(scheme),
        Some(_) => return Err(OptionError::ill_typed("type", "an authentication scheme")),
    };
    Ok(Place::Header { name: c_string(name)?, scheme: scheme.map(str::to_owned) })
}

/// What to take out of a request so that nobody behind this server sees the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strip {
    /// Set a header to another value, or remove it.
    Header {
        /// Its name.
        name: CString,
        /// What is left of it, if anything.
        value: Option<Vec<u8>>,
    },
    /// Remove a variable.
    Environment {
        /// Its name.
        name: CString,
    },
    /// The query that is left, if any.
    Query(Option<Vec<u8>>),
    /// The form that is left.
    Form(Vec<u8>),
}

/// A token as it came.
pub struct Presented<'r> {
    /// Its octets, decoded as its place demands. Not checked: they may equal those of a token that is remembered, and if
    /// they do not, [`check`] is next.
    pub token: Cow<'r, [u8]>,
    /// It stood in the URL: the response must not be kept by caches that others share (RFC 6750 §2.3).
    pub in_query: bool,
    /// What to take out of the request once the token is accepted.
    pub strip: Option<Strip>,
}

/// The places where this part of the site accepts tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSources(Vec<TokenSource>);

impl Default for TokenSources {
    fn default() -> Self {
        Self(vec![TokenSource::bearer()])
    }
}

impl TokenSources {
    /// The places that directives name. None named: the default.
    #[must_use]
    pub fn new(sources: Vec<TokenSource>) -> Self {
        if sources.is_empty() { Self::default() } else { Self(sources) }
    }

    /// Which scheme a challenge names: `Basic` where a password is the only way.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.0.iter().all(|source| source.place == Place::Basic) { Scheme::Basic } else { Scheme::Bearer }
    }

    /// Looks at every place.
    ///
    /// # Errors
    ///
    /// No token, or more than one, or a place that holds something that is no token.
    pub fn extract<'r, R: Request + ?Sized>(&self, request: &'r R) -> Result<Presented<'r>, Refusal> {
        let mut found = None;
        for source in &self.0 {
            if let Some(token) = source.find(request)? {
                // RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request."
                if found.is_some() {
                    return Err(Refusal::SeveralTokens);
                }
                found = Some((source, token));
            }
        }
        let (source, token) = found.ok_or(Refusal::NoToken)?;
        let in_query = matches!(source.place, Place::Query { .. });
        Ok(Presented { token, in_query, strip: source.strip(request)? })
    }
}

/// The text of a token that is not remembered, if it can be one at all.
///
/// # Errors
///
/// A blank or a comma: several header lines reach us as one, joined by commas, and no token has either (RFC 6750 §2.1,
/// b64token). Anything else that is not a visible ASCII character (RFC 6749 §A.12), or too much of it.
pub fn check(token: &[u8]) -> Result<&str, Refusal> {
    if token.iter().any(|octet| matches!(octet, b',' | b' ' | b'\t')) {
        return Err(Refusal::MalformedRequest("more than a token in the credentials"));
    }
    if token.len() > MAX_TOKEN {
        return Err(TokenFault::TooLong.into());
    }
    let text =
        std::str::from_utf8(token).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_graphic()));
    text.ok_or(TokenFault::Characters.into())
}

/// RFC 9110 §11.4: a scheme, blanks, and the token; the scheme in whatever case.
fn credentials<'r>(value: &'r [u8], scheme: Option<&str>) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    let token = match scheme {
        None => value.trim_ascii(),
        Some(scheme) => {
            let value = value.trim_ascii_start();
            let Some((given, rest)) = value.split_at_checked(scheme.len()) else { return Ok(None) };
            if !given.eq_ignore_ascii_case(scheme.as_bytes())
                || rest.first().is_some_and(|octet| *octet != b' ')
            {
                return Ok(None);
            }
            rest.trim_ascii()
        }
    };
    if token.is_empty() {
        return Err(Refusal::MalformedRequest("credentials without a token"));
    }
    Ok(Some(Cow::Borrowed(token)))
}

/// The one parameter of this name.
fn parameter<'r>(form: &'r [u8], name: &str) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    let mut values = form::pairs(form).filter(|(encoded, _)| is_named(encoded, name)).map(|(_, value)| value);
    let value = values.next();
    // RFC 6750 §3.1: "repeats the same parameter"
    if values.next().is_some() {
        return Err(Refusal::SeveralTokens);
    }
    value.map(unescaped).transpose()
}

fn is_named(encoded: &[u8], name: &str) -> bool {
    encoded == name.as_bytes() || form::decode(encoded).is_ok_and(|decoded| decoded == name.as_bytes())
}

fn unescaped(value: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if value.is_empty() {
        return Err(Refusal::MalformedRequest("a parameter without a token"));
    }
    if !value.iter().any(|octet| matches!(octet, b'%' | b'+')) {
        return Ok(Cow::Borrowed(value));
    }
    form::decode(value).map(Cow::Owned).map_err(|_| Refusal::MalformedRequest("malformed percent-encoding"))
}

/// What is left of a form without the parameters of this name.
fn without(form: &[u8], name: &str) -> Option<Vec<u8>> {
    let left: Vec<_> = form
        .split(|octet| *octet == b'&')
        .filter(|pair| !is_named(pair.split(|octet| *octet == b'=').next().unwrap_or_default(), name))
        .collect();
    if left.is_empty() { None } else { Some(left.join(&b'&')) }
}

/// RFC 6750 §2.2: a method with a body, and a body that is a form.
fn has_form<R: Request + ?Sized>(request: &R) -> bool {
    let media_type = request.header(c"Content-Type").unwrap_or_default();
    let media_type = media_type.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    !matches!(request.method(), b"GET" | b"HEAD" | b"TRACE" | b"OPTIONS")
        && media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The `name=value` of a Cookie field (RFC 6265 §4.2.1).
fn cookie_pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    field.split(|octet| *octet == b';').map(|pair| {
        let pair = pair.trim_ascii();
        let mut halves = pair.splitn(2, |octet| *octet == b'=');
        (pair, halves.next().unwrap_or_default().trim_ascii(), halves.next().unwrap_or_default().trim_ascii())
    })
}

fn cookie<'r>(field: &'r [u8], name: &str) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    let mut values =
        cookie_pairs(field).filter(|(_, given, _)| *given == name.as_bytes()).map(|(.., value)| value);
    let value = values.next();
    if values.next().is_some() {
        return Err(Refusal::SeveralTokens);
    }
    // a cookie that is emptied is how cookies are deleted
    value.filter(|value| !value.is_empty()).map(unescaped).transpose()
}

fn without_cookie(field: &[u8], name: &str) -> Option<Vec<u8>> {
    let left: Vec<_> = cookie_pairs(field)
        .filter(|(pair, given, _)| !pair.is_empty() && *given != name.as_bytes())
        .map(|(pair, ..)| pair)
        .collect();
    if left.is_empty() { None } else { Some(left.join(&b"; "[..])) }
}

/// RFC 7617 §2: the password of the Basic scheme.
fn password(value: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Refusal> {
    let Some(encoded) = credentials(value, Some("Basic"))? else { return Ok(None) };
    let malformed = Refusal::MalformedRequest("malformed Basic credentials");
    let Ok(decoded) = STANDARD.decode(&*encoded) else { return Err(malformed) };
    match decoded.iter().position(|octet| *octet == b':').and_then(|colon| decoded.get(colon + 1..)) {
        Some(password) if !password.is_empty() => Ok(Some(Cow::Owned(password.to_vec()))),
        _ => Err(malformed),
    }
}

#[cfg(test)]
#[path = "token_source_tests.rs"]
mod tests;
