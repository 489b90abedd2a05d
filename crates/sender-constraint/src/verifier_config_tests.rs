use super::*;
use serde_json::json;

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123:loadbalancer/app/name/id";

fn jwk() -> String {
    let key = openssl::rsa::Rsa::generate(2048).unwrap();
    json!({"kty": "RSA", "kid": "one", "use": "sig", "n": base64url::encode(&key.n().to_vec()), "e": "AQAB"})
        .to_string()
}

fn parse(kind: &str, value: &str, options: &str) -> Result<(VerifierConfig, Vec<Warning>), OptionError> {
    VerifierConfig::parse(kind, value, options.as_bytes(), &|path| {
        if path == "/keys/ed.pem" {
            Ok(openssl::pkey::PKey::generate_ed25519().unwrap().public_key_to_pem().unwrap())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    })
}

fn error(kind: &str, value: &str, options: &str) -> String {
    parse(kind, value, options).err().unwrap().to_string()
}

#[test]
fn the_seeds_line() {
    let (config, warnings) = parse("jwk", &jwk(), "type=mtls&mtls.policy=optional").unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.policy, ConfirmationPolicy { required: None });
    assert_eq!(config.expiry, 300);
    let (config, _) = parse("jwk", &jwk(), "type=mtls").unwrap();
    assert_eq!(config.policy.required, Some(Method::ClientCertificate));
    let (config, _) = parse("jwk", &jwk(), "type=token-binding").unwrap();
    assert_eq!(config.policy.required, Some(Method::TokenBinding));
}

#[test]
fn a_policy_needs_its_type() {
    for options in [
        "mtls.policy=required",
        "type=bearer&mtls.policy=required",
        "type=mtls&token-binding.policy=required",
    ] {
        assert!(error("jwk", &jwk(), options).contains("has no effect without type="), "{options}");
    }
}

#[test]
fn every_type_of_key() {
    let pem = openssl::pkey::PKey::generate_ed25519().unwrap().public_key_to_pem().unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    for (kind, value) in [
        ("pem", String::from_utf8(pem).unwrap()),
        ("pubkey", "/keys/ed.pem".into()),
        ("plain", secret.into()),
        ("base64", STANDARD.encode(secret)),
        ("base64url", base64url::encode(secret.as_bytes())),
        ("hex", "00ff".repeat(16)),
    ] {
        assert!(parse(kind, &value, "kid=k").is_ok(), "{kind}");
    }
    assert!(error("pem", "/keys/missing.pem", "").contains("cannot read /keys/missing.pem"));
    assert!(error("plain", "short", "").contains("at least 32 octets, this one has 5"));
    assert!(error("hex", "0g", "").contains("not hex") && error("hex", "+f+f", "").contains("not hex"));
    assert!(error("base64", "*", "").contains("not base64"));
    assert!(error("jwk", "{}", "").contains("\"kty\""));
    let private = jwk().replace("\"e\"", "\"d\":\"AQAB\",\"e\"");
    assert!(error("jwk", &private, "").contains("private"));
    for (kind, value) in
        [("plain", "sesame"), ("jwk", "{\"k\":\"sesame\",\"kty\":\"oct\"}"), ("hex", "sesame")]
    {
        assert!(!error(kind, value, "").contains("sesame"), "secrets are not repeated");
    }
}

#[test]
fn urls_are_checked() {
    for url in ["not-a-url", "ftp://x", "https://"] {
        for kind in ["jwks_uri", "metadata", "introspect", "eckey_uri"] {
            assert!(parse(kind, url, "").is_err(), "{kind} {url}");
        }
    }
    assert!(parse("jwks_uri", "file:///etc/jwks.json", "").is_ok());
    assert!(parse("introspect", "file:///etc/x", "").is_err());
    assert_eq!(parse("jwks_uri", "http://as.example/jwks", "").unwrap().1.len(), 1);
    let error = error("jwk_uri", "https://x", "");
    assert!(error.starts_with("the type must be jwk, jwks_uri, "), "{error}");
}

#[test]
fn options_belong_to_types() {
    assert!(error("jwk", &jwk(), "jwks_uri.ssl_verify=false").starts_with("unknown option"));
    assert!(error("introspect", "https://as", "verify.typ=required").starts_with("unknown option"));
    assert!(error("introspect", "https://as", "kid=x").starts_with("unknown option"));
    assert!(error("jwk", &jwk(), "typ=mtls").starts_with("unknown option typ"));
}

#[test]
fn introspection_and_its_audiences() {
    let url = "https://as/introspect";
    let (config, _) = parse("introspect", url, "aud=api").unwrap();
    assert_eq!(config.rules.audience, Some(("api".into(), Mode::Required)));
    let secret = "introspect.auth=client_secret_jwt&client_id=a&client_secret=b";
    let (config, _) = parse("introspect", url, &format!("{secret}&aud=https://as")).unwrap();
    assert_eq!(config.rules.audience, None, "as in mod_oauth2, aud is the assertion's");
    let (config, _) =
        parse("introspect", url, &format!("{secret}&introspect.aud=https://as&aud=api")).unwrap();
    assert_eq!(config.rules.audience, Some(("api".into(), Mode::Required)));
    assert!(error("introspect", url, secret).contains("introspect.aud"));
    assert!(
        error("introspect", url, &format!("{secret}&aud=x&verify.aud=required")).contains("introspect.aud")
    );
    assert_eq!(config.rules.exp, Mode::Optional);
    let cert = "introspect.auth=client_cert&cert=/c&key=/k";
    let Source::Introspect(endpoint, _) = parse("introspect", url, cert).unwrap().0.source else { panic!() };
    assert_eq!(endpoint.client_certificate, Some(("/c".into(), "/k".into())));
}

#[test]
fn metadata_knows_its_issuer() {
    let url = "https://as/.well-known/oauth-authorization-server";
    let (config, warnings) = parse("metadata", url, "verify.iss=required&introspect.ssl_verify=off").unwrap();
    assert_eq!(warnings.len(), 1);
    let Source::Metadata(source) = config.source else { panic!() };
    assert_eq!((source.issuer_mode, source.issuer), (Mode::Required, None));
    assert_eq!((config.rules.exp, source.introspection_rules.exp), (Mode::Required, Mode::Optional));
    assert!(parse("metadata", url, "iss=https://as").is_ok());
}

#[test]
fn load_balancers() {
    let Source::LoadBalancer { remote, arn } = parse("aws_alb", ARN, "").unwrap().0.source else { panic!() };
    assert_eq!(
        (remote.endpoint.url.as_str(), arn.as_str()),
        ("https://public-keys.auth.elb.eu-west-1.amazonaws.com/", ARN)
    );
    let Source::LoadBalancer { remote, .. } =
        parse("aws_alb", ARN, "alb_base_url=https://k").unwrap().0.source
    else {
        panic!()
    };
    assert_eq!(remote.endpoint.url, "https://k/");
    for arn in [
        "",
        "arn:aws:s3:eu-west-1:x",
        "arn:aws:elasticloadbalancing:evil.example/:1:x",
        "arn:aws:elasticloadbalancing::1:x",
    ] {
        assert!(parse("aws_alb", arn, "").is_err(), "{arn}");
    }
}

#[test]
fn identities() {
    let key = jwk();
    let id = |value: &str, options: &str| parse("jwk", value, options).unwrap().0.id;
    assert_eq!(id(&key, "aud=a"), id(&key, "aud=a"));
    assert_ne!(id(&key, "aud=a"), id(&key, "aud=b"));
    assert_ne!(id(&key, ""), id(&jwk(), ""));
    assert_ne!(id(&key, "type=mtls"), id(&key, ""));
    let file = |_: &str| parse("pubkey", "/keys/ed.pem", "").unwrap().0.id;
    assert_ne!(file(""), file(""), "another key in the same file");
}

#[test]
fn caches_that_are_named_can_be_checked() {
    let options = "verify.cache=a&jwks_uri.cache=b";
    let (config, _) = parse("jwks_uri", "https://as/jwks", options).unwrap();
    assert_eq!(config.caches().collect::<Vec<_>>(), ["b", "a"]);
    let (config, _) = parse("jwks_uri", "https://as/jwks", "verify.cache=none").unwrap();
    assert_eq!((config.cache.clone(), config.caches().count()), (Some(CacheName::None), 0));
}
