//! The authorization server of the tests itself: does it issue, bind, rotate and fail as the tests of AuthType oauth2 need?

use std::time::{Duration, Instant};

use openssl::hash::{MessageDigest, hash};
use serde_json::json;
use token_binding::base64url;

use crate::common::authorization_server::{
    AuthorizationServer, Counts, Endpoint, Format, Grant, SECRET, decode,
};
use crate::common::certificates::Identity;
use crate::common::pki;

/// `x5t#S256` (RFC 8705 §3.1).
fn thumbprint(identity: &Identity) -> String {
    let der = identity.certificate.to_der().unwrap();
    base64url::encode(&hash(MessageDigest::sha256(), &der).unwrap())
}

#[test]
fn tokens_are_bound_to_the_certificate_of_the_connection() {
    let server = AuthorizationServer::start();
    for identity in [&pki().client_a, &pki().client_b, &pki().self_signed] {
        let bound = Grant { certificate: Some(identity), ..Grant::default() };
        let (claims, header) = decode(&server.token(&bound));
        assert_eq!(claims["cnf"], json!({"x5t#S256": thumbprint(identity)}));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
        assert_eq!(claims["iss"], server.issuer());
        assert_eq!(claims["aud"], "https://api.test");
        assert_eq!(claims["scope"], "read");

        let opaque = server.token(&Grant { format: Format::Opaque, ..bound });
        assert!(!opaque.contains('.'), "{opaque}");
        let answer = server.introspect(&opaque);
        assert_eq!(answer["active"], true);
        assert_eq!(answer["cnf"], json!({"x5t#S256": thumbprint(identity)}));
    }
    // Asked for without a certificate, there is nothing to bind them to.
    assert_eq!(server.try_token(&Grant::default()).0, 400);
}

#[test]
fn bearer_tokens_are_not_bound() {
    let server = AuthorizationServer::start();
    let grant = Grant { client: "bearer", certificate: Some(&pki().client_a), ..Grant::default() };
    assert!(decode(&server.token(&grant)).0.get("cnf").is_none());
    let opaque = server.token(&Grant { client: "bearer", format: Format::Opaque, ..Grant::default() });
    assert!(server.introspect(&opaque).get("cnf").is_none());
}

#[test]
fn clients_authenticate_with_their_certificates() {
    let server = AuthorizationServer::start();
    let status = |client, certificate| server.try_token(&Grant { client, certificate, ..Grant::default() }).0;
    assert_eq!(status("ca-signed", Some(&pki().client_a)), 200);
    assert_eq!(status("ca-signed", Some(&pki().client_b)), 401);
    assert_eq!(status("ca-signed", None), 401);
    assert_eq!(status("self-signed", Some(&pki().self_signed)), 200);
    assert_eq!(status("self-signed", Some(&pki().client_a)), 401);
}

#[test]
fn tokens_look_as_they_were_asked_for() {
    let server = AuthorizationServer::start();
    let grant = Grant {
        client: "bearer",
        format: Format::Rs256,
        scope: "read write",
        resource: Some("https://other.test/api?x=1"),
        lifetime: Duration::from_secs(5),
        claims: json!({"group": ["a", "b"]}),
        ..Grant::default()
    };
    let (claims, header) = decode(&server.token(&grant));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["aud"], "https://other.test/api?x=1");
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["group"], json!(["a", "b"]));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 5);
    assert!(!server.token(&Grant { client: "bearer", resource: None, ..grant }).contains('.'));
}

#[test]
fn keys_rotate_and_the_old_ones_stay_or_go() {
    let server = AuthorizationServer::start();
    let grant = Grant { client: "bearer", ..Grant::default() };
    let kid = |grant: &Grant<'_>| decode(&server.token(grant)).1["kid"].as_str().unwrap().to_owned();
    let published = || server.get_json("/jwks")["keys"].as_array().unwrap().len();
    let first = kid(&grant);
    assert_eq!(published(), 2);
    let rotated = server.rotate();
    assert!(rotated.contains(&kid(&grant)) && !rotated.contains(&first));
    assert_eq!(published(), 4);
    let replaced = server.replace_keys();
    assert!(replaced.contains(&kid(&grant)));
    assert!(replaced.contains(&kid(&Grant { format: Format::Rs256, ..grant })));
    assert_eq!(published(), 2);
}

#[test]
fn revoked_tokens_are_not_active() {
    let server = AuthorizationServer::start();
    let token = server.token(&Grant { client: "bearer", format: Format::Opaque, ..Grant::default() });
    assert_eq!(server.introspect(&token)["active"], true);
    server.revoke("bearer", &token);
    assert_eq!(server.introspect(&token), json!({"active": false}));
    assert_eq!(server.introspect("nonsense"), json!({"active": false}));
}

#[test]
fn requests_are_counted_delayed_and_failed() {
    let server = AuthorizationServer::start();
    let metadata = server.get_json("/.well-known/oauth-authorization-server");
    assert_eq!(metadata["jwks_uri"], server.jwks_uri());
    assert_eq!(metadata["introspection_endpoint"], server.introspection_uri());
    assert_eq!(server.counts(), Counts { metadata: 1, jwks: 0, token: 0, introspection: 0, revocation: 0 });

    let delay = Duration::from_millis(300);
    server.delay(Endpoint::Jwks, delay);
    let start = Instant::now();
    assert_eq!(server.get("/jwks").status, 200);
    assert!(start.elapsed() >= delay);
    server.fail(Endpoint::Jwks, 503);
    assert_eq!(server.get("/jwks").status, 503);
    server.answer(Endpoint::Jwks, 200, "garbage");
    assert_eq!(server.get("/jwks").text(), "garbage");
    server.header(Endpoint::Jwks, "Cache-Control", "max-age=3");
    assert_eq!(server.get("/jwks").header("Cache-Control"), Some("max-age=3"));
    assert_eq!(server.get("/.well-known/openid-configuration").status, 200);
    server.recover();
    assert_eq!(server.get("/jwks").header("Cache-Control"), None);
    assert_eq!(server.counts(), Counts { metadata: 2, jwks: 5, token: 0, introspection: 0, revocation: 0 });
}

#[test]
fn it_stops_and_starts_again_in_the_same_place() {
    let mut server = AuthorizationServer::start();
    let before = server.get_json("/jwks");
    server.stop();
    let port = server.issuer().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start_again();
    assert_ne!(server.get_json("/jwks"), before);
}

#[test]
fn users_log_in_by_coming_here() {
    let server = AuthorizationServer::start();
    let callback = "https://rp.test/callback";
    server.register(&json!({
        "client_id": "web",
        "client_secret": SECRET,
        "redirect_uris": [callback],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }));
    let ask = "response_type=code&client_id=web&scope=openid%20email&state=s1&nonce=n1&login_hint=bob";
    let location = server.log_in(&format!("{}/auth?{ask}&redirect_uri={callback}", server.issuer()));
    let code = location.strip_prefix("https://rp.test/callback?code=").unwrap().split('&').next().unwrap();
    assert!(location.contains("state=s1"), "{location}");
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri={callback}");
    let response = server.post_as("web", "/token", &form);
    let answer: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let (claims, _) = decode(answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
    assert_eq!((&claims["sub"], &claims["nonce"]), (&json!("bob"), &json!("n1")));
}
