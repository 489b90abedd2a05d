use super::*;
use crate::jwk::{self, KeySet};
use crate::jwt::{Padding, Unverified};
use crate::schema;
use openssl::rsa::Rsa;

fn method(options: &str) -> Result<ClientAuth, OptionError> {
    let (options, _) = Options::parse(options.as_bytes(), &[schema::INTROSPECT, schema::CLIENT]).unwrap();
    ClientAuth::from_options(&options, options.text("introspect.aud"))
}

fn apply(options: &str) -> (String, Option<String>) {
    let mut form = String::new();
    let authorization = method(options).unwrap().apply(&mut form, Some("https://as"), 1000).unwrap();
    (form, authorization.map(|value| value.to_string()))
}

#[test]
fn basic_credentials_are_form_encoded_first() {
    let (form, authorization) =
        apply("introspect.auth=client_secret_basic&client_id=rs%2B0&client_secret=s%26%3D+x");
    assert_eq!(form, "");
    let expected = format!("Basic {}", STANDARD.encode("rs%2B0:s%26%3D%20x"));
    assert_eq!(authorization, Some(expected));
    let (_, authorization) = apply("introspect.auth=basic&username=u&password=p%2B");
    assert_eq!(authorization, Some(format!("Basic {}", STANDARD.encode("u:p+"))));
}

#[test]
fn post_certificate_and_none() {
    let (form, authorization) = apply("introspect.auth=client_secret_post&client_id=a%26b&client_secret=c");
    assert_eq!((form.as_str(), authorization), ("client_id=a%26b&client_secret=c", None));
    assert_eq!(apply("introspect.auth=none"), (String::new(), None));
    assert_eq!(apply(""), (String::new(), None));
    let (form, _) = apply("introspect.auth=client_cert&cert=/c&key=/k&client_id=x");
    assert_eq!(form, "client_id=x");
    let Ok(ClientAuth::Certificate { files, .. }) = method("introspect.auth=client_cert&cert=/c&key=/k")
    else {
        panic!()
    };
    assert_eq!(files, ("/c".into(), "/k".into()));
}

#[test]
fn credentials_that_are_missing_are_named() {
    for (options, missing) in [
        ("introspect.auth=client_secret_basic&client_id=x", "client_secret"),
        ("introspect.auth=client_secret_post&client_secret=x", "client_id"),
        ("introspect.auth=private_key_jwt&client_id=x", "jwk"),
        ("introspect.auth=client_cert&cert=/x", "key"),
        ("introspect.auth=basic&username=x", "password"),
    ] {
        let error = method(options).err().unwrap().to_string();
        assert!(error.ends_with(&format!("needs {missing}=VALUE")), "{error}");
    }
}

fn assertion(form: &str) -> String {
    assert!(
        form.contains(
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        )
    );
    let (_, value) = form::pairs(form.as_bytes()).find(|(name, _)| *name == b"client_assertion").unwrap();
    String::from_utf8(value.to_vec()).unwrap()
}

fn claims(token: &str, key: crate::verification_key::VerificationKey) -> Object {
    let unverified = Unverified::parse(token.as_bytes(), Padding::Refused).unwrap();
    unverified.verify(&KeySet::of(key)).unwrap();
    unverified.into_claims()
}

#[test]
fn assertions_with_a_secret() {
    let secret = "s".repeat(32);
    let options =
        format!("introspect.auth=client_secret_jwt&client_id=me&client_secret={secret}&introspect.aud=as");
    let first = assertion(&apply(&options).0);
    let key = crate::verification_key::VerificationKey::from_secret(secret.as_bytes()).unwrap();
    let claims = claims(&first, key);
    assert_eq!(json::string(&claims, "iss"), Some("me"));
    assert_eq!(json::string(&claims, "sub"), Some("me"));
    assert_eq!(json::string(&claims, "aud"), Some("as"));
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(1000), Some(1060)));
    assert_ne!(first, assertion(&apply(&options).0), "jti is new each time");
}

#[test]
fn assertions_with_a_private_key() {
    let rsa = Rsa::generate(2048).unwrap();
    let b64 = |n: &openssl::bn::BigNumRef| base64url::encode(&n.to_vec());
    let public = json!({"kty": "RSA", "n": b64(rsa.n()), "e": b64(rsa.e())});
    let mut private = public.clone();
    for (name, value) in [
        ("d", rsa.d()),
        ("p", rsa.p().unwrap()),
        ("q", rsa.q().unwrap()),
        ("dp", rsa.dmp1().unwrap()),
        ("dq", rsa.dmq1().unwrap()),
        ("qi", rsa.iqmp().unwrap()),
    ] {
        private[name] = json!(b64(value));
    }
    private["kid"] = json!("k1");
    for alg in ["RS256", "PS256"] {
        private["alg"] = json!(alg);
        let options = format!(
            "introspect.auth=private_key_jwt&client_id=me&jwk={}",
            form::encode(&private.to_string())
        );
        let token = assertion(&apply(&options).0);
        let claims = claims(&token, jwk::from_jwk(public.to_string().as_bytes()).unwrap());
        assert_eq!(json::string(&claims, "aud"), Some("https://as"), "the issuer, where none is configured");
        assert!(method(&options).unwrap().needs_issuer());
    }
    private["alg"] = json!("ES256");
    let bad = [private.to_string(), public.to_string(), "{}".into(), "x".into()];
    for jwk in bad {
        let options = format!("introspect.auth=private_key_jwt&client_id=me&jwk={}", form::encode(&jwk));
        assert!(method(&options).is_err(), "{jwk}");
    }
}

#[test]
fn assertions_with_elliptic_curves() {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let b64 = |n: &openssl::bn::BigNumRef| base64url::encode(&n.to_vec_padded(32).unwrap());
    let public = json!({"kty": "EC", "crv": "P-256", "x": b64(&x), "y": b64(&y)});
    let mut private = public.clone();
    private["d"] = json!(b64(key.private_key()));
    let options = |jwk: &serde_json::Value| {
        format!("introspect.auth=private_key_jwt&client_id=me&jwk={}", form::encode(&jwk.to_string()))
    };
    let token = assertion(&apply(&options(&private)).0);
    claims(&token, jwk::from_jwk(public.to_string().as_bytes()).unwrap());
    private["d"] = json!(base64url::encode(&[1; 32]));
    assert!(method(&options(&private)).is_err(), "d and the point do not belong together");

    let ed = PKey::generate_ed25519().unwrap();
    let x = base64url::encode(&ed.raw_public_key().unwrap());
    let private = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": base64url::encode(&ed.raw_private_key().unwrap())});
    let token = assertion(&apply(&options(&private)).0);
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    claims(&token, jwk::from_jwk(public.to_string().as_bytes()).unwrap());
}
