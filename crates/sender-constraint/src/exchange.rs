//! What is to be asked of an authorization server, and what it answered. Asking is the caller's: see [`Transport`].

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::options::{OptionError, Options, Warning};

/// A server, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://`, `http://` or `file:///`; nothing else is spoken.
    pub url: String,
    /// Whether the server's certificate and name are verified.
    pub verify_tls: bool,
    /// CA certificates (PEM) in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key (PEM, the key without a passphrase), for servers that want one.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// `host:port` of a proxy. The environment names none.
    pub proxy: Option<String>,
    /// For all of it: name resolution, connection, TLS, answer.
    pub timeout: Duration,
}

/// One request: GET, or POST when there is a form (`application/x-www-form-urlencoded`).
pub struct Exchange<'e> {
    /// Where to send it. Redirects are not to be followed.
    pub endpoint: &'e Endpoint,
    /// Fields to send, `Authorization` among them.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// The form: it holds the access token and may hold a secret.
    pub form: Option<Zeroizing<String>>,
}

/// What came back, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; 200 for a file that was read.
    pub status: u16,
    /// The value of `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

/// Sends requests for this crate, which does no I/O itself. Time limits are to hold; redirects are answers like any other.
pub trait Transport {
    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer from coming, in words for the administrator.
    fn send(&self, request: &Exchange<'_>) -> Result<Answer, String>;
}

impl Endpoint {
    /// An endpoint of this URL, with the options that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// A URL that cannot be one.
    pub fn from_options(
        url: &str,
        prefix: &str,
        options: &Options,
        schemes: &[&str],
    ) -> Result<(Self, Vec<Warning>), OptionError> {
        check_url(url, schemes).map_err(|reason| OptionError::Combination(format!("{url}: {reason}")))?;
        let option = |name: &str| options.text(&format!("{prefix}{name}"));
        let verify_tls = options.flag(&format!("{prefix}ssl_verify")).unwrap_or(true);
        let mut warnings = Vec::new();
        if !verify_tls {
            warnings.push(Warning(format!(
                "{prefix}ssl_verify=false: whoever is on the way to {url} decides which tokens are good"
            )));
        } else if is_plain(url) {
            warnings.push(Warning(format!(
                "{url} is not protected by TLS: whoever is on the way decides which tokens are good"
            )));
        }
        let seconds = options.number(&format!("{prefix}http_timeout")).unwrap_or(5);
        let endpoint = Self {
            url: url.to_owned(),
            verify_tls,
            ca_file: option("ca_file").map(PathBuf::from),
            client_certificate: None,
            proxy: option("outgoing_proxy").map(str::to_owned),
            timeout: Duration::from_secs(seconds),
        };
        Ok((endpoint, warnings))
    }

    /// The same server and settings, another document.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Whether it is a file of this machine, for which nobody waits.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.url.starts_with("file:")
    }

    /// A request for the document that lies there.
    #[must_use]
    pub const fn get(&self) -> Exchange<'_> {
        Exchange { endpoint: self, headers: Vec::new(), form: None }
    }
}

/// Whether a text is an absolute URL of one of these schemes (RFC 3986 §4.3), as far as that matters here.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_url(url: &str, schemes: &[&str]) -> Result<(), String> {
    let wrong = || format!("the URL must begin with {}://", schemes.join(":// or "));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if !schemes.contains(&scheme) {
        return Err(wrong());
    }
    if url.bytes().any(|octet| octet <= b' ' || octet == 0x7f || b"\"<>\\^`{|}".contains(&octet)) {
        return Err("the URL has characters that must be percent-encoded".into());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("the URL holds credentials: give them as options, where no log shows them".into());
    }
    let has_host = !matches!(rest.bytes().next(), None | Some(b'/' | b'?' | b'#' | b':' | b'@'));
    match scheme {
        "file" if !rest.starts_with('/') => Err("a file URL is written file:///path".into()),
        "file" => Ok(()),
        _ if has_host => Ok(()),
        _ => Err("the URL has no host".into()),
    }
}

/// Whether a URL is plain HTTP to another machine.
fn is_plain(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    !["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host == *local || host.strip_prefix(local).is_some_and(|port| port.starts_with(':')))
}

/// How long an answer may be used: `max-age` of its Cache-Control (RFC 9111 §5.2.2.1). Zero when it must not be stored.
#[must_use]
pub fn max_age(cache_control: Option<&str>) -> Option<Duration> {
    let mut directives = cache_control?.split(',').map(str::trim);
    let forbids =
        |directive: &str| ["no-store", "no-cache"].iter().any(|word| directive.eq_ignore_ascii_case(word));
    if directives.clone().any(forbids) {
        return Some(Duration::ZERO);
    }
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn urls() {
        let web = ["https", "http"];
        for url in ["https://as.example/jwks", "http://[::1]:8080/x", "https://h?q=1#f"] {
            assert_eq!(check_url(url, &web), Ok(()), "{url}");
        }
        for url in [
            "not-a-url",
            "ftp://x",
            "https://user:secret@host/jwks",
            "https://",
            "https:///path",
            "HTTPS://x",
            "https://:80",
            "https://a b",
            "//x",
            "https://a\n",
            "file:///x",
        ] {
            assert!(check_url(url, &web).is_err(), "{url}");
        }
        assert_eq!(check_url("file:///etc/keys.json", &["https", "file"]), Ok(()));
        assert!(check_url("file://etc/keys.json", &["https", "file"]).is_err());
    }

    #[test]
    fn settings_and_warnings() {
        let parse = |url: &str, options: &str| {
            let (options, _) = Options::parse(options.as_bytes(), &[schema::JWKS_URI]).unwrap();
            Endpoint::from_options(url, "jwks_uri.", &options, &["https", "http"]).unwrap()
        };
        let (endpoint, warnings) = parse("https://as/jwks", "");
        assert!(endpoint.verify_tls && warnings.is_empty());
        assert_eq!(endpoint.timeout, Duration::from_secs(5));
        let (endpoint, warnings) = parse(
            "https://as/jwks",
            "jwks_uri.ssl_verify=off&jwks_uri.ca_file=/ca.pem&jwks_uri.outgoing_proxy=p:1&jwks_uri.http_timeout=2",
        );
        assert!(!endpoint.verify_tls && warnings.len() == 1);
        assert_eq!((endpoint.proxy.as_deref(), endpoint.timeout), (Some("p:1"), Duration::from_secs(2)));
        assert_eq!(endpoint.ca_file.as_deref(), Some(std::path::Path::new("/ca.pem")));
        assert!(parse("https://as/jwks", "jwks_uri.ssl_verify=on").0.verify_tls);
        assert_eq!(parse("http://as/jwks", "").1.len(), 1);
        assert_eq!(parse("http://localhost.evil/jwks", "").1.len(), 1);
        for local in ["http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:1/x", "http://localhost"]
        {
            assert!(parse(local, "").1.is_empty(), "{local}");
        }
    }

    #[test]
    fn freshness() {
        let seconds = |text| max_age(Some(text)).map(|age| age.as_secs());
        assert_eq!(seconds("public, max-age=300"), Some(300));
        assert_eq!(seconds("Max-Age = \"60\""), Some(60));
        assert_eq!(seconds("max-age=300, no-store"), Some(0));
        assert_eq!(seconds("no-cache"), Some(0));
        assert_eq!(seconds("s-maxage=5"), None);
        assert_eq!(seconds("max-age=-1"), None);
        assert_eq!(max_age(None), None);
    }
}
