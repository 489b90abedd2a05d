//! The `OAuth2...` directives as an administrator meets them: every mistake is found by `apachectl configtest`, and what
//! mod_oauth2 accepts is accepted.

use serde_json::json;

use super::tokens::{SECRET, keys, token};
use super::{get, place, present, server};
use crate::common::configuration::{ModulePosition, Verdict};
use crate::common::log::matches;
use crate::common::{Builder, Httpd};

/// What `configtest` says to these lines in a location.
fn in_place(lines: &str) -> Verdict {
    with_values(Httpd::builder().config(&format!("<Location /api>\n{lines}\n</Location>"))).configtest()
}

/// What `configtest` says to these lines in the server's configuration.
fn in_server(lines: &str) -> Verdict {
    with_values(Httpd::builder().config(lines)).configtest()
}

fn with_values(builder: Builder) -> Builder {
    let keys = keys();
    let mut private = keys.one.jwk();
    private["d"] = "AQAB".into();
    let small = openssl::rsa::Rsa::generate(1024).unwrap().public_key_to_pem().unwrap();
    builder
        .value("one", keys.one.quoted())
        .value("private", format!("'{private}'"))
        .value("secret", String::from_utf8(SECRET.to_vec()).unwrap())
        .file("one.pem", &keys.one.pem())
        .file("small.pem", &String::from_utf8(small).unwrap())
        .file(
            "private.pem",
            &String::from_utf8(keys.one.private.private_key_to_pem_pkcs8().unwrap()).unwrap(),
        )
        .file("empty", "\n")
}

fn assert_refused(lines: &str, answer: &str, verdict: &Verdict) {
    assert_eq!(verdict.code, Some(1), "{lines}: {verdict:?}");
    assert!(
        verdict.output.lines().any(|line| matches(line, answer)),
        "{lines}: not `{answer}` but {verdict:?}"
    );
}

/// In a location. `*` stands for any text.
const MISTAKES: &[(&str, &str)] = &[
    ("OAuth2TokenVerify jwk", "OAuth2TokenVerify: takes two or three arguments: TYPE VALUE [OPTIONS]"),
    (
        "OAuth2TokenVerify jwk {one} type=mtls mtls.policy=optional",
        "OAuth2TokenVerify: takes two or three arguments",
    ),
    (
        "OAuth2TokenVerify jwt x",
        "OAuth2TokenVerify: the type must be jwk, jwks_uri, metadata, introspect, pem, pubkey, *",
    ),
    ("OAuth2TokenVerify jwk {one} typ=mtls", "OAuth2TokenVerify: unknown option typ; accepted here: *type*"),
    ("OAuth2TokenVerify jwk {one} Type=mtls", "OAuth2TokenVerify: unknown option Type; accepted here: "),
    (
        "OAuth2TokenVerify jwk {one} type=mtsl",
        "OAuth2TokenVerify: option type: the value must be bearer, mtls or token-binding",
    ),
    (
        "OAuth2TokenVerify jwk {one} type=dpop",
        "OAuth2TokenVerify: option type: the value must be bearer, mtls or token-binding",
    ),
    (
        "OAuth2TokenVerify jwk {one} type=mtls&mtls.policy=option",
        "option mtls.policy: the value must be required or optional",
    ),
    ("OAuth2TokenVerify jwk {one} mtls.policy=optional", "mtls.policy has no effect without type=mtls"),
    (
        "OAuth2TokenVerify jwk {one} type=mtls&token-binding.policy=optional",
        "token-binding.policy has no effect without type=token-binding",
    ),
    (
        "OAuth2TokenVerify jwk {one} verify.exp=yes",
        "option verify.exp: the value must be skip, optional or required",
    ),
    (
        "OAuth2TokenVerify jwk {one} verify.iss=required",
        "verify.iss=required needs iss=VALUE to compare with",
    ),
    (
        "OAuth2TokenVerify jwk {one} aud=x&verify.aud=skip",
        "aud is given and verify.aud=skip leaves it unused",
    ),
    ("OAuth2TokenVerify jwk {one} aud=", "option aud: the value must be a text that is not empty"),
    (
        "OAuth2TokenVerify jwk {one} expiry=5m",
        "option expiry: the value must be a number from 0 to 31536000 (seconds)",
    ),
    ("OAuth2TokenVerify jwk {one} expiry=-1", "option expiry: the value must be a number"),
    ("OAuth2TokenVerify jwk {one} type=mtls&type=bearer", "option type is given twice"),
    ("OAuth2TokenVerify jwk {one} aud=%zz", "option aud: malformed percent-encoding"),
    ("OAuth2TokenVerify jwk {one} aud==x", "option aud: the value begins with \"=\""),
    ("OAuth2TokenVerify jwk {one} =x", "an option without a name"),
    ("OAuth2TokenVerify jwk {one} jwks_uri.ssl_verify=true", "unknown option jwks_uri.ssl_verify"),
    ("OAuth2TokenVerify jwk {private}", "jwk: the JWK holds a private key; put the public key here"),
    (
        "OAuth2TokenVerify jwk '{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}'",
        "jwk: an RSA key must have 2048 to 8192 bits",
    ),
    ("OAuth2TokenVerify jwk '{\"kty\":\"RSA\",\"e\":\"AQAB\"}'", "jwk: JWK member \"n\" is missing"),
    ("OAuth2TokenVerify jwk '{\"kty\":\"RSA\",\"kty\":\"RSA\"}'", "jwk: a JSON member occurs twice"),
    ("OAuth2TokenVerify jwk garbage", "jwk: not a JSON object"),
    ("OAuth2TokenVerify plain short", "plain: a symmetric key must have at least 32 octets, this one has 5"),
    ("OAuth2TokenVerify hex 00zz", "hex: the value is not hex"),
    ("OAuth2TokenVerify base64 !!!", "base64: the value is not base64"),
    ("OAuth2TokenVerify base64url ab+/", "base64url: the value is not base64url"),
    ("OAuth2TokenVerify pem {docroot}/missing.pem", "pem: cannot read {docroot}/missing.pem: No such file"),
    (
        "OAuth2TokenVerify pem {docroot}/hello.txt",
        "hello.txt: the PEM text holds neither a certificate nor a public key",
    ),
    ("OAuth2TokenVerify pubkey {docroot}/private.pem", "private.pem: the JWK holds a private key"),
    (
        "OAuth2TokenVerify pubkey {docroot}/small.pem",
        "small.pem: an RSA key must have 2048 to 8192 bits, this one has 1024",
    ),
    ("OAuth2TokenVerify jwks_uri not-a-url", "OAuth2TokenVerify: *not-a-url*"),
    ("OAuth2TokenVerify jwks_uri ftp://as.test/jwks", "OAuth2TokenVerify: *ftp://as.test/jwks*"),
    (
        "OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.ssl_verify=yes",
        "option jwks_uri.ssl_verify: the value must be true, false, on, off, 1 or 0",
    ),
    (
        "OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.http_timeout=0",
        "option jwks_uri.http_timeout: the value must be a number from 1 to 120 (seconds)",
    ),
    (
        "OAuth2TokenVerify introspect https://as.test/i introspect.auth=client_secret",
        "option introspect.auth: the value must be none, client_secret_basic, *",
    ),
    (
        "OAuth2TokenVerify introspect https://as.test/i introspect.auth=client_secret_basic&client_id=rs",
        "OAuth2TokenVerify: *client_secret*",
    ),
    ("OAuth2TokenVerify aws_alb arn:aws:s3:x", "not the ARN of a load balancer"),
    (
        "OAuth2TokenVerify jwk {one} verify.cache=nowhere",
        "OAuth2TokenVerify: there is no cache 'nowhere': OAuth2Cache TYPE name=nowhere",
    ),
    (
        "OAuth2AcceptTokenIn body",
        "OAuth2AcceptTokenIn: the type must be environment, header, query, post, cookie or basic",
    ),
    (
        "OAuth2AcceptTokenIn header strip=perhaps",
        "option strip: the value must be true, false, on, off, 1 or 0",
    ),
    (
        "OAuth2AcceptTokenIn query type=Bearer",
        "OAuth2AcceptTokenIn: unknown option type; accepted here: *name*",
    ),
    ("OAuth2AcceptTokenIn header name=a+b", "option name: the value must be the name of a header"),
    ("OAuth2AcceptTokenIn basic name=x", "unknown option name"),
    ("OAuth2TargetPass claims=on", "OAuth2TargetPass: unknown option claims; accepted here: *envvars*"),
    ("OAuth2TargetPass prefix=", "option prefix: the value must be the name of a header"),
    ("OAuth2TargetPass authn_header=X:Y", "option authn_header: the value must be the name of a header"),
    ("OAuth2TargetPass encoding=utf8", "option encoding: the value must be none, latin1 or base64url"),
    ("OAuth2TargetPass envvars=2", "option envvars: the value must be true, false, on, off, 1 or 0"),
    ("Require oauth2_claim role", "\"role\": write name:value, name~regex or a.b:value"),
    ("Require oauth2_claim", "Require oauth2_claim needs name:value, name~regex or a.b:value"),
    ("Require oauth2_claim role~(", "\"role~(\": *"),
    ("Require sender-constrained dpop", "\"dpop\": Require sender-constrained takes mtls and token-binding"),
    ("OAuth2Cache shm", "OAuth2Cache not allowed in <Location> context"),
    ("OAuth2CryptoPassphrase x", "OAuth2CryptoPassphrase not allowed in <Location> context"),
];

/// In the server's configuration.
const SERVER_MISTAKES: &[(&str, &str)] = &[
    ("OAuth2Cache memory", "OAuth2Cache: the type must be shm, memcache, file, socache or redis"),
    ("OAuth2Cache shm max_entries=0", "option max_entries: the value must be a number from 1"),
    ("OAuth2Cache shm max_entries=-1", "option max_entries: the value must be a number from 1"),
    ("OAuth2Cache shm host=localhost", "OAuth2Cache: unknown option host; accepted here: *max_entries*"),
    ("OAuth2Cache shm name=none", "option name: the value must be another word than none"),
    ("OAuth2Cache shm\nOAuth2Cache shm", "OAuth2Cache: there is a cache named 'default' already"),
    ("OAuth2Cache socache provider=nosuch", "OAuth2Cache: *nosuch*"),
    ("OAuth2Cache redis port=70000", "option port: the value must be a number from 1 to 65535 (port)"),
    (
        "OAuth2Cache redis",
        "OAuth2Cache: what is kept in the cache 'default' leaves this server and is encrypted: OAuth2CryptoPassphrase is needed",
    ),
    ("OAuth2Cache shm encrypt=on", "OAuth2CryptoPassphrase is needed"),
    (
        "OAuth2CryptoPassphrase",
        "OAuth2CryptoPassphrase: takes one argument: STRING, file:/path or exec:/path",
    ),
    ("OAuth2CryptoPassphrase \" \"", "OAuth2CryptoPassphrase: the passphrase is empty"),
    (
        "OAuth2CryptoPassphrase file:{docroot}/missing",
        "OAuth2CryptoPassphrase: cannot read {docroot}/missing: No such file",
    ),
    ("OAuth2CryptoPassphrase file:{docroot}/empty", "OAuth2CryptoPassphrase: the passphrase is empty"),
    ("OAuth2CryptoPassphrase exec:/bin/false", "OAuth2CryptoPassphrase: /bin/false failed: exit status: 1"),
    (
        "OAuth2CryptoPassphrase exec:/nonexistent/program",
        "OAuth2CryptoPassphrase: cannot run /nonexistent/program",
    ),
];

#[test]
fn every_mistake_is_named_with_what_is_accepted() {
    for (lines, answer) in MISTAKES {
        let verdict = in_place(lines);
        assert_refused(lines, &answer.replace("{docroot}", "*"), &verdict);
    }
    for (lines, answer) in SERVER_MISTAKES {
        let verdict = in_server(lines);
        assert_refused(lines, &answer.replace("{docroot}", "*"), &verdict);
    }
}

#[test]
fn secrets_in_options_are_not_repeated() {
    let options =
        "introspect.auth=client_secret_basic&client_id=rs&client_secret=hunter2&client_secret=hunter2";
    let verdict = in_place(&format!("OAuth2TokenVerify introspect https://as.test/i {options}"));
    assert_refused(options, "option client_secret is given twice", &verdict);
    assert!(!verdict.output.contains("hunter2"), "{verdict:?}");
    let verdict = in_place("OAuth2TokenVerify plain hunter2hunter2");
    assert!(verdict.code == Some(1) && !verdict.output.contains("hunter2"), "{verdict:?}");
}

#[test]
fn what_never_had_an_effect_is_accepted_with_a_warning() {
    for (lines, option) in [
        ("OAuth2TokenVerify jwk {one} type=mtls&mtls.env_var_name=X", "mtls.env_var_name"),
        ("OAuth2TokenVerify jwk {one} dpop.iat.verify=required", "dpop.iat.verify"),
        ("OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.auth=none", "jwks_uri.auth"),
        ("OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.http_retries=3", "jwks_uri.http_retries"),
        ("OAuth2TokenVerify introspect https://as.test/i introspect.cache=default", "introspect.cache"),
    ] {
        let verdict = in_place(lines);
        assert_eq!(verdict.code, Some(0), "{lines} {verdict:?}");
        let warning = format!("[token_binding:warn] *OAuth2TokenVerify: option {option} has no effect: ");
        assert!(verdict.output.lines().any(|line| matches(line, &warning)), "{lines} {verdict:?}");
        // A line of the configuration is easier found by its number.
        assert!(verdict.output.lines().any(|line| matches(line, "has no effect*httpd.conf:")), "{verdict:?}");
    }
    for lines in [
        "OAuth2Cache shm key_hash_algo=sha256&max_key_size=64",
        "OAuth2CryptoPassphrase x\nOAuth2Cache file clean_interval=60&passphrase_hash_algo=sha256",
    ] {
        let verdict = with_values(Httpd::builder().load(&["socache_dbm"]).config(lines)).configtest();
        assert!(
            verdict.code == Some(0) && verdict.output.matches("has no effect").count() >= 2,
            "{verdict:?}"
        );
    }
}

/// Written as mod_oauth2's documentation writes them.
const ACCEPTED: &[&str] = &[
    "OAuth2TokenVerify introspect https://as.test/introspect introspect.ssl_verify=false&introspect.auth=client_secret_basic&client_id=rs0&client_secret=s%26%3D+x",
    "OAuth2TokenVerify introspect https://as.test/introspect introspect.ssl_verify=true&introspect.auth=client_secret_post&client_id=rs0&client_secret=x&introspect.params=key1%3Done%26key2%3Dtwo",
    "OAuth2TokenVerify introspect https://as.test/introspect introspect.auth=client_secret_jwt&client_id=rs0&client_secret=0123456789abcdef0123456789abcdef&aud=https%3A%2F%2Fas.test",
    "OAuth2TokenVerify introspect https://as.test/introspect introspect.auth=basic&username=u&password=p",
    "OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.ssl_verify=false",
    "OAuth2TokenVerify jwks_uri https://as.test/jwks jwks_uri.ssl_verify=on&jwks_uri.expiry=3600&jwks_uri.outgoing_proxy=proxy.test:3128",
    "OAuth2TokenVerify metadata https://as.test/.well-known/openid-configuration metadata.ssl_verify=false&jwks_uri.ssl_verify=false&introspect.auth=client_secret_basic&client_id=rs0&client_secret=x",
    "OAuth2TokenVerify eckey_uri https://as.test/key eckey_uri.ssl_verify=false",
    "OAuth2TokenVerify aws_alb arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y alb_base_url=https://keys.test",
    "OAuth2TokenVerify jwk {one}",
    "OAuth2TokenVerify jwk {one} type=mtls",
    "OAuth2TokenVerify jwk {one} type=MTLS&mtls.policy=Optional&verify.exp=REQUIRED",
    "OAuth2TokenVerify plain {secret} kid=mykid&verify.exp=required",
    "OAuth2TokenVerify base64 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "OAuth2TokenVerify base64url MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
    "OAuth2TokenVerify hex 3031323334353637383961626364656630313233343536373839616263646566",
    "OAuth2TokenVerify pem {pki}/ca.pem",
    "OAuth2TokenVerify pubkey {docroot}/one.pem",
    "OAuth2TokenVerify jwk {one} verify.iat=required&verify.iat.slack_before=600&verify.iat.slack_after=5",
    "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn query name=token\nOAuth2AcceptTokenIn post\nOAuth2AcceptTokenIn cookie name=x&strip=false\nOAuth2AcceptTokenIn basic\nOAuth2AcceptTokenIn environment",
    "OAuth2AcceptTokenIn header name=X-Token&type=",
    "OAuth2AcceptTokenIn header name=Authorization&type=DPoP",
    "OAuth2TargetPass prefix=OIDC_CLAIM_&remote_user_claim=client_id&authn_header=X-Remote-User",
    "OAuth2TargetPass envvars=on&headers=off&json_payload_claim=payload&encoding=base64url",
    "Require oauth2_claim scope:read scope:write\nRequire oauth2_claim a.b.c:5 role~^ad",
    "Require sender-constrained\nRequire sender-constrained mtls token-binding",
];

#[test]
fn what_mod_oauth2_documents_is_accepted() {
    // All together, each in a section of its own: none disturbs the other.
    let sections: String = ACCEPTED
        .iter()
        .enumerate()
        .map(|(number, lines)| format!("<Location /{number}>\nAuthType oauth2\n{lines}\n</Location>\n"))
        .collect();
    let caches = "OAuth2CryptoPassphrase exec:/usr/bin/id\nOAuth2Cache shm max_entries=2000&max_val_size=16384\n\
                  OAuth2Cache redis name=r&host=localhost&port=6379&username=u&password=p&tls=on&timeout=100\n\
                  OAuth2Cache memcache name=m&config_string=%2D%2DSERVER%3Dlocalhost\nOAuth2Cache file name=f&dir={run}\n\
                  OAuth2Cache socache name=s&provider=shmcb:{run}/s(600000)&encrypt=off";
    let builder =
        Httpd::builder().load(&["socache_memcache", "socache_dbm"]).config(&format!("{caches}\n{sections}"));
    let verdict = with_values(builder).configtest();
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
    let complaints: Vec<&str> =
        verdict.output.lines().filter(|line| line.contains("token_binding:")).collect();
    // Nothing of it is without effect; only what switches protection off is warned about.
    let warned = |line: &str| {
        let warnings = ["encrypt=false: whoever can write", "ssl_verify=false: whoever is on the way"];
        warnings.iter().any(|text| line.contains(text))
    };
    assert!(complaints.iter().all(|line| warned(line)), "{complaints:?}");
}

#[test]
fn keys_may_be_written_in_every_way_that_httpd_can_read() {
    let jwk = keys().one.jwk().to_string();
    assert!(!jwk.contains(' '));
    for argument in [format!("'{jwk}'"), jwk.clone(), format!("\"{}\"", jwk.replace('"', "\\\""))] {
        let verdict = in_place(&format!("OAuth2TokenVerify jwk {argument}"));
        assert_eq!(verdict.code, Some(0), "{argument} {verdict:?}");
    }
    // Text with line ends comes from the environment only.
    let verdict = with_values(Httpd::builder().environment("KEY", &keys().one.pem()))
        .config("<Location /api>\nOAuth2TokenVerify pubkey \"${KEY}\"\n</Location>")
        .configtest();
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
}

#[test]
fn caches_go_before_the_modules_that_keep_them() {
    // mod_socache_shmcb and mod_socache_dbm are loaded after our module, so they are unloaded before its configuration goes.
    let caches = "OAuth2CryptoPassphrase x\nOAuth2Cache shm name=shm\nOAuth2Cache file name=file";
    let with = || {
        let verify = |cache: &str| format!("OAuth2TokenVerify jwk {{one}} verify.cache={cache}");
        server(&[("shm", &verify("shm")), ("file", &verify("file"))])
            .position(ModulePosition::BeforeSsl)
            .load(&["socache_dbm"])
            .config(caches)
    };
    assert_eq!(with().configtest().code, Some(0));
    let mut server = with().start();
    let token = token(json!({}));
    for restart in [Httpd::graceful, Httpd::hard_restart, Httpd::graceful] {
        for place in ["shm", "file"] {
            assert_eq!(present(&server, None, &format!("/{place}/env"), &token).status, 200, "{place}");
        }
        restart(&mut server);
    }
}

#[test]
fn htaccess_decides_nothing() {
    for line in [
        "OAuth2TokenVerify jwk x",
        "OAuth2AcceptTokenIn query",
        "OAuth2TargetPass headers=off",
        "OAuth2Cache shm",
    ] {
        let name = line.split(' ').next().unwrap();
        let server = server(&[])
            .config(&place("api", "OAuth2TokenVerify jwk {one}"))
            .config("<Directory \"{docroot}\">\nAllowOverride All\n</Directory>")
            .file(".htaccess", &format!("{line}\n"))
            .expect_log(&format!(".htaccess: {name} not allowed here"))
            .start();
        assert_eq!(get(&server, None, "/hello.txt", &[]).status, 500, "{line}");
    }
}
