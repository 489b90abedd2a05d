//! Sessions of mod_auth_openidc (Debian 12: 2.4.12.3) in the corners of a site: what a thief with the cookie gets where pages
//! are not asked for by a browser, where httpd redirects within, and where a session began without a binding.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};
use tokbind::tls::Offer;
use token_binding::{KeyPair, base64url};

use crate::common::exchange::Answer;
use crate::common::{Backend, Bound, Builder, Httpd, connector, keys};

const CONFIGURATION: &str = r#"OIDCProviderIssuer https://127.0.0.1:{provider}
OIDCProviderAuthorizationEndpoint https://127.0.0.1:{provider}/authorize
OIDCProviderTokenEndpoint https://127.0.0.1:{provider}/token
OIDCProviderJwksUri https://127.0.0.1:{provider}/jwks
OIDCProviderTokenEndpointAuth client_secret_post
OIDCIDTokenSignedResponseAlg RS256
OIDCCABundlePath {pki}/ca.pem
OIDCClientID client
OIDCClientSecret secret
OIDCRedirectURI /callback
OIDCCryptoPassphrase passphrase
OIDCInfoHook iat id_token session
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

/// An OpenID provider that signs with RS256 and has one user.
struct Provider {
    backend: Backend,
    /// The nonce of the authentication request, for the ID token to repeat (OpenID Connect Core §2).
    nonce: Arc<Mutex<String>>,
}

impl Provider {
    fn start() -> Self {
        let nonce = Arc::new(Mutex::new(String::new()));
        let (shared, key) = (Arc::clone(&nonce), PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let backend = Backend::answering(move |head| {
            let answer = if head.starts_with("GET /jwks ") {
                jwks(&key)
            } else {
                let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
                let token = id_token(&key, host, &shared.lock().unwrap());
                json!({"access_token": "token", "token_type": "Bearer", "id_token": token})
            };
            ("200 OK", "application/json", answer.to_string())
        });
        Self { backend, nonce }
    }

    /// A server that relies on it.
    fn relied_on(&self) -> Builder {
        let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";
        Httpd::builder()
            .load(&["authz_user", "auth_openidc", "include", "rewrite"])
            .value("provider", self.backend.port())
            .tls_config(CONFIGURATION)
            .file("protected/env.cgi", script)
            .file("protected/bound/env.cgi", script)
            .file("open/redirect.cgi", "#!/bin/sh\nprintf 'Location: /protected/env.cgi\\r\\n\\r\\n'\n")
            .file("open/include.shtml", "<!--#include virtual=\"/protected/env.cgi\" -->")
            .tls_config("RewriteEngine On\nRewriteRule ^/open/rewritten$ /protected/env.cgi [PT]")
            .allow_log("the Provided Token Binding ID stored in the session doesn't match")
    }

    /// A login; the session's cookie.
    fn log_in(&self, client: &mut Visitor<'_>) -> String {
        let begun = client.get("/protected/env.cgi", &["Accept: text/html"]);
        assert_eq!(begun.status, 302, "{begun:?}");
        *self.nonce.lock().unwrap() = parameter(&begun, "nonce");
        let callback = format!("/callback?code=code&state={}", parameter(&begun, "state"));
        let finished =
            client.get(&callback, &[&format!("Cookie: {}", cookie(&begun, "mod_auth_openidc_state"))]);
        assert_eq!(finished.status, 302, "{finished:?}\n{}", client.server.log());
        format!("Cookie: {}", cookie(&finished, "mod_auth_openidc_session"))
    }
}

/// RFC 7517 §4 and RFC 7518 §6.3.1.
fn jwks(key: &PKey<Private>) -> Value {
    let rsa = key.rsa().unwrap();
    let (n, e) = (base64url::encode(&rsa.n().to_vec()), base64url::encode(&rsa.e().to_vec()));
    json!({"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e}]})
}

fn id_token(key: &PKey<Private>, host: &str, nonce: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": format!("https://{host}"), "sub": "alice", "aud": "client", "iat": now, "exp": now + 300, "nonce": nonce,
    });
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "kid": "one"})), part(&claims));
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    format!("{signed}.{}", base64url::encode(&signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap()))
}

/// Somebody with a key, or with none, who opens a connection for each request.
struct Visitor<'s> {
    server: &'s Httpd,
    key: Option<&'static KeyPair>,
}

impl Visitor<'_> {
    fn get(&mut self, path: &str, fields: &[&str]) -> Answer {
        match self.key {
            Some(key) => Bound::open(self.server).with_key(key).get(path, fields),
            None => {
                let connector = connector().offer(Offer::None).build().unwrap();
                Bound::connect(&connector, self.server.tls(), "localhost").unbound(path, fields)
            }
        }
    }
}

fn parameter(answer: &Answer, name: &str) -> String {
    let location = answer.header("Location").unwrap_or_else(|| panic!("no redirect: {answer:?}"));
    let mut pairs = location.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name} in {location}")).1.to_owned()
}

fn cookie(answer: &Answer, prefix: &str) -> String {
    let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
    let mut pairs = cookies.filter_map(|(_, value)| value.split(';').next());
    pairs
        .find(|pair| pair.starts_with(prefix))
        .unwrap_or_else(|| panic!("no {prefix}: {answer:?}"))
        .to_owned()
}

#[test]
fn a_stolen_cookie_opens_no_corner_of_the_site() {
    let provider = Provider::start();
    let server = provider.relied_on().start();
    let (server, session) =
        (&server, provider.log_in(&mut Visitor { server: &server, key: Some(&keys().a) }));
    let page = ["Accept: text/html", session.as_str()];
    // The session information holds tokens: what an attacker in the page would ask for.
    let script = ["X-Requested-With: XMLHttpRequest", session.as_str()];
    for (path, fields, refusal) in [
        ("/protected/env.cgi", page, 302),
        ("/protected/env.cgi", script, 401),
        ("/callback?info=json", script, 401),
        ("/open/redirect.cgi", page, 302),
        ("/open/rewritten", page, 302),
    ] {
        for (key, expected) in
            [(Some(&keys().a), 200), (Some(&keys().b), refusal), (None, refusal), (Some(&keys().a), 200)]
        {
            let answer = Visitor { server, key }.get(path, &fields);
            assert_eq!(answer.status, expected, "{path} {fields:?} {answer:?}");
            let told = answer.body.contains("alice");
            assert_eq!(told, expected == 200, "{path} {answer:?}");
        }
    }
}

#[test]
fn a_page_includes_what_its_visitor_may_see() {
    let provider = Provider::start();
    let server = provider.relied_on().allow_log("unable to include").start();
    let session = provider.log_in(&mut Visitor { server: &server, key: Some(&keys().a) });
    for (key, told) in [(Some(&keys().a), true), (Some(&keys().b), false), (None, false)] {
        let answer = Visitor { server: &server, key }.get("/open/include.shtml", &[&session]);
        assert_eq!(answer.body.contains("REMOTE_USER=alice"), told, "{answer:?}");
    }
}

#[test]
fn a_session_that_began_unbound_stays_unbound_unless_the_place_requires_more() {
    let provider = Provider::start();
    let server = provider.relied_on().allow_log("AH01630*client denied").start();
    let session = provider.log_in(&mut Visitor { server: &server, key: None });
    // What mod_auth_openidc does, and cannot be told otherwise: such a session is a bearer's.
    for key in [None, Some(&keys().a), Some(&keys().b)] {
        assert_eq!(Visitor { server: &server, key }.get("/protected/env.cgi", &[&session]).status, 200);
    }
    let unbound = Visitor { server: &server, key: None }.get("/protected/bound/env.cgi", &[&session]);
    assert_eq!((unbound.status, unbound.body.contains("alice")), (403, false), "{unbound:?}");
}

#[test]
fn the_redirect_to_the_provider_asks_for_the_referred_binding_once() {
    let provider = Provider::start();
    let server = provider.relied_on().config("TokenBindingIncludeReferred On").start();
    let asks = |key| {
        let answer = Visitor { server: &server, key }.get("/protected/env.cgi", &["Accept: text/html"]);
        assert_eq!(answer.status, 302, "{answer:?}");
        let is_it =
            |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Include-Referred-Token-Binding-ID");
        answer.headers.iter().filter(is_it).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    // mod_auth_openidc sets it too.
    assert_eq!(asks(Some(&keys().a)), ["true"]);
    assert_eq!(asks(None), [""; 0]);
}
