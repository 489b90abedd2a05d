//! mod_auth_openidc of Debian 12 (2.4.12.3) behind our module, with a real OpenID provider (tests/authorization-server). It
//! binds its state and its sessions to the provided Token Binding ID, which it reads from the environment.

mod cache_prefix;
mod documents;
mod login;
mod logout;
mod policies;
mod single_page;
mod theft;

use openssl::ssl::SslVersion;
use serde_json::json;
use tokbind::tls::Offer;
use token_binding::KeyPair;

use crate::common::authorization_server::{AuthorizationServer, SECRET};
use crate::common::certificates::Identity;
use crate::common::exchange::Answer;
use crate::common::{Bound, Builder, Httpd, bound, connector};

/// What mod_auth_openidc says about a session that is not the client's.
const MISMATCH: &str = "the Provided Token Binding ID stored in the session doesn't match";

const CONFIGURATION: &str = r#"OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCCABundlePath {pki}/ca.pem
OIDCClientID web
OIDCClientSecret {secret}
OIDCScope "openid email"
OIDCPKCEMethod S256
OIDCRedirectURI https://localhost/callback
OIDCCryptoPassphrase passphrase
OIDCInfoHook iat access_token id_token userinfo session
<LocationMatch ^/(protected|callback)>
  AuthType openid-connect
  Require valid-user
</LocationMatch>
<Location /protected/bound>
  <RequireAll>
    Require valid-user
    Require token-binding
  </RequireAll>
</Location>
"#;

const APPLICATION: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";

/// An OpenID provider that knows the client `web`, and logs in whoever comes, as alice.
fn provider() -> AuthorizationServer {
    let provider = AuthorizationServer::start();
    provider.register(&json!({
        "client_id": "web",
        "client_secret": SECRET,
        "redirect_uris": ["https://localhost/callback"],
        "post_logout_redirect_uris": ["https://localhost/hello.txt"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }));
    provider
}

/// A server that relies on it. `/protected/env.cgi` and `/protected/bound/env.cgi` are for its users.
fn relying_party(provider: &AuthorizationServer) -> Builder {
    Httpd::builder()
        .load(&["authz_user", "auth_openidc"])
        .value("issuer", provider.issuer())
        .value("secret", SECRET)
        .tls_config(CONFIGURATION)
        .file("protected/env.cgi", APPLICATION)
        .file("protected/bound/env.cgi", APPLICATION)
        .allow_log(MISMATCH)
}

/// Somebody with a key, with a certificate, or with neither, who opens a connection for each request.
#[derive(Clone, Copy)]
struct Visitor<'s> {
    server: &'s Httpd,
    key: Option<&'static KeyPair>,
    certificate: Option<&'static Identity>,
    tls: SslVersion,
    host: &'s str,
}

impl<'s> Visitor<'s> {
    fn new(server: &'s Httpd, key: Option<&'static KeyPair>) -> Self {
        Self { server, key, certificate: None, tls: SslVersion::TLS1_3, host: "localhost" }
    }

    fn with_certificate(server: &'s Httpd, certificate: &'static Identity) -> Self {
        Self { certificate: Some(certificate), ..Self::new(server, None) }
    }

    fn get(self, path: &str, fields: &[&str]) -> Answer {
        let mut connector = connector().insecure().tls_version(self.tls);
        if self.key.is_none() {
            connector = connector.offer(Offer::None);
        }
        if let Some(certificate) = self.certificate {
            connector = connector.identity(bound::identity(certificate));
        }
        let connection =
            Bound::connect(&connector.build().expect("a connector"), self.server.tls(), self.host);
        match self.key {
            Some(key) => connection.with_key(key).get(path, fields),
            None => { connection }.unbound(path, fields),
        }
    }

    /// As a browser asks for a page, with cookies.
    fn page(self, path: &str, cookies: &str) -> Answer {
        self.get(path, &["Accept: text/html", cookies])
    }
}

/// A login that has come back from the provider: the callback's path and query, and a `Cookie` line with the state.
fn begin(provider: &AuthorizationServer, mut get: impl FnMut(&str, &str) -> Answer) -> (String, String) {
    let begun = get("/protected/env.cgi", "Cookie: none=yet");
    assert_eq!(begun.status, 302, "{begun:?}");
    let location = provider.log_in(begun.header("Location").expect("a redirect"));
    let callback = &location[location.find("/callback").expect("our own host")..];
    (callback.to_owned(), cookies(&begun, "mod_auth_openidc_state"))
}

/// A whole login, each page by `get(path, Cookie line)`; the `Cookie` line of the session.
fn log_in(provider: &AuthorizationServer, mut get: impl FnMut(&str, &str) -> Answer) -> String {
    let (callback, state) = begin(provider, &mut get);
    let finished = get(&callback, &state);
    let back = finished.header("Location").is_some_and(|page| page.ends_with("/protected/env.cgi"));
    assert!(finished.status == 302 && back, "{finished:?}");
    cookies(&finished, "mod_auth_openidc_session")
}

/// A line with those of an answer's cookies that begin so: a session in cookies may take several.
fn cookies(answer: &Answer, prefix: &str) -> String {
    let fields = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
    let pairs =
        fields.filter_map(|(_, value)| value.split(';').next()).filter(|pair| pair.starts_with(prefix));
    let pairs: Vec<&str> = pairs.collect();
    assert!(!pairs.is_empty(), "no {prefix}: {answer:?}");
    format!("Cookie: {}", pairs.join("; "))
}
