//! mod_auth_openidc of Debian 12 (2.4.12.3) behind our module: it binds its state and its sessions to the provided Token
//! Binding ID, which it reads from the environment while it authenticates.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};
use token_binding::base64url;

use crate::common::exchange::Answer;
use crate::common::{Backend, Httpd, Independent};

const OFFER: &str = "010003020100";
const CLIENT_SECRET: &str = "a secret of more than thirty-two octets";

const CONFIGURATION: &str = r#"OIDCProviderIssuer https://127.0.0.1:{provider}
OIDCProviderAuthorizationEndpoint https://127.0.0.1:{provider}/authorize
OIDCProviderTokenEndpoint https://127.0.0.1:{provider}/token
OIDCCABundlePath {pki}/ca.pem
OIDCProviderTokenEndpointAuth client_secret_post
OIDCIDTokenSignedResponseAlg HS256
OIDCClientID client
OIDCClientSecret "a secret of more than thirty-two octets"
OIDCRedirectURI /callback
OIDCCryptoPassphrase passphrase
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
"#;

/// A provider that has one user and asks her nothing.
struct Provider {
    backend: Backend,
    /// The nonce of the authentication request, which the ID token has to repeat (OpenID Connect Core §3.1.2.1).
    nonce: Arc<Mutex<String>>,
}

impl Provider {
    fn start() -> Self {
        let nonce = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&nonce);
        let backend = Backend::answering(move |head| {
            let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
            let token = id_token(host, &shared.lock().unwrap());
            let answer = json!({"access_token": "a", "token_type": "Bearer", "id_token": token});
            ("200 OK", "application/json", answer.to_string())
        });
        Self { backend, nonce }
    }
}

/// OpenID Connect Core §2, signed with the client's secret (§10.1).
fn id_token(host: &str, nonce: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": format!("https://{host}"), "sub": "alice", "aud": "client", "iat": now, "exp": now + 300, "nonce": nonce,
    });
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&claims));
    let key = PKey::hmac(CLIENT_SECRET.as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url::encode(&signature))
}

/// A browser that proves a key, or none, on connections of its own.
struct Browser<'a> {
    client: &'a mut Independent,
    server: &'a Httpd,
    key: Option<&'a str>,
}

impl Browser<'_> {
    fn get(&mut self, path: &str, cookie: &str) -> Answer {
        let offer = self.key.map(|_| OFFER);
        self.client.connect("browser", self.server.tls(), &json!({"offer": offer})).done();
        // mod_auth_openidc redirects whoever can show a page to a user.
        let mut fields = vec!["Accept: text/html".to_owned(), format!("Cookie: {cookie}")];
        if let Some(key) = self.key {
            fields.push(format!(
                "Sec-Token-Binding: {}",
                self.client.message("browser", &json!([{"key": key}]))
            ));
        }
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        self.client.get("browser", path, &fields)
    }
}

/// The value of a parameter in the query of a redirect.
fn parameter(answer: &Answer, name: &str) -> String {
    let location = answer.header("Location").unwrap_or_else(|| panic!("no redirect: {answer:?}"));
    let (_, query) = location.split_once('?').expect("a query");
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    values.into_iter().find(|(found, _)| *found == name).expect("the parameter").1.to_owned()
}

/// What to send back of the cookies that begin so.
fn cookie(answer: &Answer, prefix: &str) -> String {
    let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
    let pairs = cookies.filter_map(|(_, value)| value.split(';').next());
    let found = pairs.into_iter().find(|pair| pair.starts_with(prefix));
    found.unwrap_or_else(|| panic!("no cookie {prefix} in {answer:?}")).to_owned()
}

#[test]
fn state_and_session_work_with_the_key_they_began_with_and_no_other() {
    for session_type in ["server-cache", "client-cookie"] {
        let provider = Provider::start();
        let server = Httpd::builder()
            .load(&["authz_user", "auth_openidc"])
            .value("provider", provider.backend.port())
            .config(&format!("OIDCSessionType {session_type}"))
            .tls_config(CONFIGURATION)
            .expect_log("the Provided Token Binding ID stored in the session doesn't match")
            // What mod_auth_openidc says about a callback that does not fit its state.
            .expect_log("oidc_restore_proto_state: calculated state from cookie does not match state")
            .expect_log("oidc_authorization_response_match_state: unable to restore state")
            .expect_log("oidc_handle_authorization_response: invalid authorization response state")
            .start();
        let mut client = Independent::start();
        for key in ["alice", "mallory"] {
            client.key(key, "ecdsap256");
        }
        let (client, server) = (&mut client, &server);

        let begun = Browser { client, server, key: Some("alice") }.get("/hello.txt", "");
        assert_eq!(begun.status, 302, "{begun:?}");
        *provider.nonce.lock().unwrap() = parameter(&begun, "nonce");
        let callback = format!("/callback?code=c&state={}", parameter(&begun, "state"));
        let state = cookie(&begun, "mod_auth_openidc_state");

        for thief in [Some("mallory"), None] {
            let stolen = Browser { client, server, key: thief }.get(&callback, &state);
            assert_eq!(stolen.status, 400, "{thief:?} {stolen:?}");
        }
        let finished = Browser { client, server, key: Some("alice") }.get(&callback, &state);
        assert_eq!(finished.status, 302, "{finished:?} {}", server.log());
        assert!(finished.header("Location").unwrap().ends_with("/hello.txt"), "{finished:?}");
        let session = cookie(&finished, "mod_auth_openidc_session");

        for (key, status) in [
            (Some("alice"), 200),
            (Some("mallory"), 302),
            (None, 302),
            // The owner stays logged in.
            (Some("alice"), 200),
        ] {
            let answer = Browser { client, server, key }.get("/hello.txt", &session);
            assert_eq!(answer.status, status, "{session_type} {key:?} {answer:?}");
        }
    }
}

#[test]
fn the_cache_prefix_for_later_versions_follows_key_and_certificate() {
    let server = Httpd::builder()
        .tls_config("SSLVerifyClient optional_no_ca\n<Location />\nTokenBindingOIDCSession On\n</Location>")
        .start();
    let mut client = Independent::start();
    for key in ["alice", "mallory"] {
        client.key(key, "ecdsap256");
    }
    let prefix = |client: &mut Independent, key: Option<&str>, certificate: Option<&str>| {
        let mut options = json!({"offer": key.map(|_| OFFER)});
        if let Some(name) = certificate {
            options["certificate"] = server.pki(&format!("{name}.pem")).display().to_string().into();
            options["private_key"] = server.pki(&format!("{name}.key")).display().to_string().into();
        }
        client.connect("one", server.tls(), &options).done();
        let field = match key {
            Some(key) => format!("Sec-Token-Binding: {}", client.message("one", &json!([{"key": key}]))),
            // A client cannot choose a prefix for itself.
            None => "OIDC_CACHE_PREFIX: mine".to_owned(),
        };
        let answer = client.get("one", "/cgi/env.cgi", &[&field]);
        answer.variable("OIDC_CACHE_PREFIX").map(str::to_owned)
    };
    let alice = prefix(&mut client, Some("alice"), None);
    assert!(alice.as_ref().is_some_and(|prefix| !prefix.is_empty()), "{alice:?}");
    assert_eq!(prefix(&mut client, Some("alice"), None), alice);
    // The Token Binding ID counts, where there is one, not the certificate.
    assert_eq!(prefix(&mut client, Some("alice"), Some("client_a")), alice);
    let mallory = prefix(&mut client, Some("mallory"), None);
    let (a, b) = (prefix(&mut client, None, Some("client_a")), prefix(&mut client, None, Some("client_b")));
    let nobody = prefix(&mut client, None, None);
    let mut all = vec![alice, mallory, a, b];
    assert!(all.iter().all(Option::is_some), "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(nobody, None);
}
