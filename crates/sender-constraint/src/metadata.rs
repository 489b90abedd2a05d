//! Metadata of an authorization server (RFC 8414; OpenID Connect Discovery has the same members).

use crate::exchange::check_url;
use crate::json::{self, JsonFault};

/// A document that must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not a JSON object.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// RFC 8414 §3.3: the issuer is not the one whose metadata was asked for.
    #[error(
        "the metadata is of another issuer than its URL says (RFC 8414 section 3.3); give the issuer with iss= if it is right"
    )]
    Issuer,
    /// An endpoint is no URL, or not protected although the metadata was.
    #[error("metadata member \"{0}\" is not an https URL")]
    Url(&'static str),
    /// RFC 8414 §2 wants it.
    #[error("metadata has no issuer")]
    NoIssuer,
    /// Neither keys nor introspection: nothing to verify tokens with.
    #[error("metadata has neither jwks_uri nor introspection_endpoint")]
    NoEndpoint,
}

/// What a resource server needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The issuer, which tokens must name.
    pub issuer: String,
    /// Where the keys are.
    pub jwks_uri: Option<String>,
    /// Where to ask about opaque tokens.
    pub introspection_endpoint: Option<String>,
}

impl Metadata {
    /// Reads the document that was found at `url`. `issuer` is the expected one, where the administrator names it.
    ///
    /// # Errors
    ///
    /// [`MetadataError`]. Endpoints are never less protected than the document itself, and never files.
    pub fn parse(document: &[u8], url: &str, issuer: Option<&str>) -> Result<Self, MetadataError> {
        let document = json::parse_object(document)?;
        let found = json::string(&document, "issuer").ok_or(MetadataError::NoIssuer)?;
        let right = match issuer {
            Some(issuer) => issuer == found,
            None => is_of(found, url),
        };
        if !right {
            return Err(MetadataError::Issuer);
        }
        let schemes: &[&str] = if url.starts_with("https://") { &["https"] } else { &["https", "http"] };
        let endpoint = |name: &'static str| match document.get(name) {
            None => Ok(None),
            Some(value) => match value.as_str().filter(|url| check_url(url, schemes).is_ok()) {
                Some(url) => Ok(Some(url.to_owned())),
                None => Err(MetadataError::Url(name)),
            },
        };
        let metadata = Self {
            issuer: found.to_owned(),
            jwks_uri: endpoint("jwks_uri")?,
            introspection_endpoint: endpoint("introspection_endpoint")?,
        };
        if metadata.jwks_uri.is_none() && metadata.introspection_endpoint.is_none() {
            return Err(MetadataError::NoEndpoint);
        }
        Ok(metadata)
    }
}

/// Whether a document at this URL is this issuer's: the well-known string stands between host and path (RFC 8414 §3.1) or
/// after the path (OpenID Connect Discovery §4). From a URL without it nothing can be concluded.
fn is_of(issuer: &str, url: &str) -> bool {
    const WELL_KNOWN: &str = "/.well-known/";
    let Some((before, after)) = url.split_once(WELL_KNOWN) else { return true };
    let path = after.find('/').and_then(|slash| after.get(slash..)).unwrap_or_default();
    issuer.trim_end_matches('/') == format!("{before}{path}").trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const URL: &str = "https://as.example/.well-known/oauth-authorization-server";

    fn parse(
        url: &str,
        issuer: Option<&str>,
        document: serde_json::Value,
    ) -> Result<Metadata, MetadataError> {
        Metadata::parse(document.to_string().as_bytes(), url, issuer)
    }

    #[test]
    fn the_issuer_is_the_one_of_the_url() {
        let of = |issuer: &str| json!({"issuer": issuer, "jwks_uri": "https://as.example/jwks"});
        assert!(parse(URL, None, of("https://as.example")).is_ok());
        assert!(parse(URL, None, of("https://as.example/")).is_ok());
        for other in ["https://evil.example", "https://as.example/tenant", "http://as.example", ""] {
            assert_eq!(parse(URL, None, of(other)), Err(MetadataError::Issuer), "{other}");
        }
        let tenant = "https://as.example/.well-known/oauth-authorization-server/tenant";
        assert!(parse(tenant, None, of("https://as.example/tenant")).is_ok());
        assert_eq!(parse(tenant, None, of("https://as.example")), Err(MetadataError::Issuer));
        let oidc = "https://as.example/realms/x/.well-known/openid-configuration";
        assert!(parse(oidc, None, of("https://as.example/realms/x")).is_ok());
        let inner = "http://10.0.0.1/realms/x/.well-known/openid-configuration";
        assert_eq!(parse(inner, None, of("https://as.example/realms/x")), Err(MetadataError::Issuer));
        assert!(parse(inner, Some("https://as.example/realms/x"), of("https://as.example/realms/x")).is_ok());
        assert_eq!(parse(URL, Some("https://other"), of("https://as.example")), Err(MetadataError::Issuer));
        assert_eq!(parse(URL, None, json!({"jwks_uri": "https://x"})), Err(MetadataError::NoIssuer));
    }

    #[test]
    fn endpoints_are_as_protected_as_the_document() {
        let with = |name: &str, url: &str| json!({"issuer": "https://as.example", name: url});
        for url in ["http://as.example/jwks", "file:///etc/passwd", "x", "", "javascript://x"] {
            assert_eq!(parse(URL, None, with("jwks_uri", url)), Err(MetadataError::Url("jwks_uri")), "{url}");
        }
        assert!(parse(URL, None, with("introspection_endpoint", "http://x")).is_err());
        assert_eq!(parse(URL, None, json!({"issuer": "https://as.example"})), Err(MetadataError::NoEndpoint));
        let plain = "http://localhost/.well-known/oauth-authorization-server";
        let local = json!({"issuer": "http://localhost", "jwks_uri": "http://localhost/jwks"});
        assert!(parse(plain, None, local).is_ok());
        assert!(matches!(Metadata::parse(b"<html>", URL, None), Err(MetadataError::Json(_))));
    }
}
