//! docs/oauth2.md and the files of conf/ about access tokens: what they show works as it stands there, with stand-ins for
//! names, files and keys; what they explain is all there is to explain.

use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::ssl::SslVersion;
use serde_json::{Value, json};
use tokbind::tls::Offer;
use token_binding::base64url;

use super::configuration::read;
use crate::common::certificates::Identity;
use crate::common::configuration::module_file;
use crate::common::exchange::Answer;
use crate::common::log::matches;
use crate::common::{Backend, Bound, Builder, Httpd, bound, connector, pki};

/// What stands in for every key of an authorization server where a test needs tokens.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A private key that is no secret: RFC 7517, appendix A.2.
const PRIVATE_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","kid":"api-1"}"#;

/// The configurations of docs/oauth2.md that are said to be complete, each with the heading that it stands under.
fn recipes() -> Vec<(String, String)> {
    let document = read("docs/oauth2.md");
    let mut heading = "";
    let mut recipes = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("##") {
            heading = line.trim_start_matches(['#', ' ']);
        }
        assert_ne!(line, "```apache", "{heading}: a configuration that no test reads");
        if line == "<!-- complete -->" {
            assert_eq!(lines.next(), Some("```apache"), "{heading}");
            let recipe = lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n");
            recipes.push((heading.to_owned(), recipe));
        }
    }
    recipes
}

fn recipe(heading: &str) -> String {
    recipes().into_iter().find(|(of, _)| of == heading).expect("a recipe under this heading").1
}

/// `# Needs: a2enmod ...` says what has to be loaded beside what Debian and the harness have anyway.
fn modules(text: &str) -> Vec<&str> {
    let needs = text.lines().find_map(|line| line.strip_prefix("# Needs: a2enmod ")).expect("what it needs");
    let by_harness = ["ssl", "token_binding", "socache_shmcb"];
    needs.split(' ').filter(|module| !by_harness.contains(module)).collect()
}

/// A server with a configuration of the documents, on our ports, with our certificates and files.
fn builder(text: &str, backend: u16) -> Builder {
    let adapted: String = text.lines().map(|line| adapt(line) + "\n").collect();
    let rsa = Rsa::generate(2048).unwrap();
    let batch = PKey::from_rsa(rsa.clone()).unwrap().public_key_to_pem().unwrap();
    // As a2enmod arranges them, ours last; proxy comes with proxy_http.
    Httpd::builder()
        .without_module()
        .load(&["authz_user"])
        .load(if text.contains(" proxy_http") { &["proxy"] } else { &[] })
        .load(&modules(text))
        .config(&format!(
            "LoadModule token_binding_module {}\nLogLevel token_binding:info",
            module_file().display()
        ))
        .value("backend", backend)
        .value("modulus", base64url::encode(&rsa.n().to_vec()))
        .file("passphrase", "sesame-sesame-sesame-sesame\n")
        .file("secrets.conf", &format!("Define INTROSPECTION_JWK '{}'\n", PRIVATE_JWK))
        .file("batch.pem", &String::from_utf8(batch).unwrap())
        .config(&adapted)
}

/// A line of the documents with our own ports, certificates and files.
pub(crate) fn adapt(line: &str) -> String {
    match line.trim_start().split_once(' ') {
        Some(("SSLCertificateFile", _)) => "SSLCertificateFile {pki}/server.pem".to_owned(),
        Some(("SSLCertificateKeyFile", _)) => "SSLCertificateKeyFile {pki}/server.key".to_owned(),
        _ => line
            .replace("*:443", "127.0.0.1:{port:tls}")
            .replace("${APACHE_LOG_DIR}", "{root}")
            .replace("backend.example.org:8080", "127.0.0.1:{backend}")
            .replace("\\\"n\\\":\\\"...\\\"", "\\\"n\\\":\\\"{modulus}\\\"")
            .replace("/etc/apache2/oauth2-passphrase", "{docroot}/passphrase")
            .replace("/etc/apache2/oauth2-secrets.conf", "{docroot}/secrets.conf")
            .replace("/etc/apache2/batch.pem", "{docroot}/batch.pem")
            .replace("/etc/apache2/as.pem", "{docroot}/batch.pem"),
    }
}

#[test]
fn every_recipe_passes_configtest_without_a_warning() {
    let recipes = recipes();
    assert!(recipes.len() >= 12, "where are they?");
    for (heading, text) in recipes {
        let verdict = builder(&text, 9).configtest();
        assert_eq!(verdict.code, Some(0), "{heading}: {verdict:?}");
        assert!(!verdict.output.contains("token_binding:"), "{heading}: {verdict:?}");
    }
}

#[test]
fn recipes_need_the_modules_that_they_name() {
    for (heading, text) in recipes() {
        for module in modules(&text) {
            let without = text.replacen(&format!(" {module}"), "", 1);
            assert_eq!(builder(&without, 9).configtest().code, Some(1), "{heading}: {module} is not needed");
        }
    }
}

/// Lines of the reference that are commented out: explanations have a blank after the `#`, but so have the lines in a
/// section.
fn uncommented(reference: &str) -> String {
    let mut in_section = false;
    let active = |line: &str| {
        let rest = line.strip_prefix('#')?;
        let is_directive = rest.starts_with(|first: char| first.is_ascii_uppercase() || first == '<');
        let is_active = is_directive || in_section;
        in_section =
            rest.starts_with('<') && !rest.starts_with("</") || in_section && !rest.starts_with("</");
        is_active.then(|| format!("{rest}\n"))
    };
    reference.lines().filter_map(active).collect()
}

#[test]
fn the_reference_can_be_uncommented() {
    let reference = format!("# Needs: a2enmod ssl\n{}", uncommented(&read("conf/oauth2.conf")));
    assert!(reference.lines().count() > 12, "{reference}");
    let (server, hosts): (Vec<&str>, Vec<&str>) = reference.lines().partition(|line| {
        ["OAuth2Cache", "OAuth2Crypto", "# Needs"].iter().any(|name| line.starts_with(name))
    });
    let host = format!(
        "{}\n<VirtualHost *:443>\nServerName api.example.org\nSSLEngine On\nSSLCertificateFile x\n\
         SSLCertificateKeyFile x\n{}\n</VirtualHost>",
        server.join("\n"),
        hosts.join("\n")
    );
    let verdict = builder(&host, 9).configtest();
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
    assert!(!verdict.output.contains("token_binding:"), "{verdict:?}");
}

/// The defaults that the reference shows are those of the option reference.
#[test]
fn the_reference_shows_the_defaults() {
    let options = read("docs/oauth2-options.md");
    let reference = uncommented(&read("conf/oauth2.conf"));
    let line = |name: &str| {
        let line = reference.lines().find(|line| line.starts_with(name)).expect("a line");
        line.rsplit(' ').next().unwrap().to_owned()
    };
    for (directive, sections) in [
        ("OAuth2TargetPass", ["## OAuth2TargetPass"].as_slice()),
        (
            "OAuth2AcceptTokenIn",
            &[
                "## OAuth2AcceptTokenIn, every type",
                "## OAuth2AcceptTokenIn environment",
                "## OAuth2AcceptTokenIn header",
            ],
        ),
    ] {
        for pair in line(directive).split('&') {
            let (name, value) = pair.split_once('=').unwrap();
            let row = sections.iter().find_map(|section| {
                let (_, table) = options.split_once(section)?;
                let table = table.split("\n## ").next()?;
                table.lines().find(|line| line.starts_with(&format!("| `{name}` |")))
            });
            let row = row.unwrap_or_else(|| panic!("{directive} {name}: no such option"));
            let default = row.split(" | ").nth(2).unwrap();
            assert!(
                default.split([';', ' ']).any(|word| word == value),
                "{directive} {name}={value}: {default}"
            );
        }
    }
}

/// The same with a secret in place of keys that would have to be fetched, started.
fn start(text: &str, backend: u16) -> Httpd {
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["OAuth2TokenVerify", "metadata" | "jwks_uri", _, options] => {
                format!("OAuth2TokenVerify plain {SECRET} {options}")
            }
            _ => line.to_owned(),
        }
    });
    builder(&lines.collect::<Vec<_>>().join("\n"), backend)
        .allow_log("AH01631*authorization failure")
        .allow_log("AH01909*does NOT include an ID which matches the server name")
        .start()
}

/// A token (RFC 7515 §3.1, HS256) with these claims and some that every token has.
pub(super) fn token(more: Value) -> String {
    let mut claims = json!({"sub": "joe", "aud": "https://api.example.org", "exp": 4_000_000_000_u64, "iat": 1_000_000_000});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encode = |value: Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(json!({"alg": "HS256", "typ": "at+jwt"})), encode(claims));
    let key = PKey::hmac(SECRET.as_bytes()).unwrap();
    let mac = Signer::new(openssl::hash::MessageDigest::sha256(), &key)
        .unwrap()
        .sign_oneshot_to_vec(signed.as_bytes());
    format!("{signed}.{}", base64url::encode(&mac.unwrap()))
}

/// `cnf` of a token that is bound to this certificate (RFC 8705 §3.1).
pub(super) fn bound_to(identity: &Identity) -> Value {
    let der = identity.certificate.to_der().unwrap();
    json!({"cnf": {"x5t#S256": base64url::encode(&openssl::sha::sha256(&der))}})
}

fn send(server: &Httpd, identity: Option<&Identity>, method: &str, path: &str, fields: &[&str]) -> Answer {
    let connector = connector().insecure().offer(Offer::None).tls_version(SslVersion::TLS1_3);
    let connector = match identity {
        Some(identity) => connector.identity(bound::identity(identity)),
        None => connector,
    };
    let host = "api.example.org";
    let mut client = Bound::connect(&connector.build().unwrap(), server.tls(), host);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.exchange(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn preflights_pass_without_a_token_and_nothing_else_does() {
    let server = start(&recipe("Browsers and CORS"), 9);
    let (origin, method) = ("Origin: https://app.example.org", "Access-Control-Request-Method: GET");
    let good = bearer(&token(json!({})));
    for (verb, fields, status) in [
        ("OPTIONS", vec![origin, method], 200),
        ("OPTIONS", vec![origin], 401),
        ("OPTIONS", vec![method], 401),
        ("GET", vec![origin, method], 401),
        ("GET", vec![origin], 401),
        ("GET", vec![origin, &good], 200),
        ("OPTIONS", vec![origin, method, &good], 200),
    ] {
        let answer = send(&server, None, verb, "/hello.txt", &fields);
        assert_eq!(answer.status, status, "{verb} {fields:?}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://app.example.org"));
        assert_eq!(answer.header("Access-Control-Expose-Headers"), Some("WWW-Authenticate"));
        assert_eq!(answer.header("WWW-Authenticate").is_some(), status == 401);
        assert!(
            answer
                .header("Access-Control-Allow-Headers")
                .is_some_and(|names| names.contains("Authorization"))
        );
    }
}

#[test]
fn a_backend_gets_claims_and_no_token() {
    let backend = Backend::http();
    let server = start(&recipe("Claims for a backend"), backend.port());
    let own = &pki().client_a;
    let token = token(bound_to(own));
    let fields = [
        bearer(&token),
        "x_claim_sub: admin".into(),
        "X-Claim-role: admin".into(),
        "X_Remote_User: admin".into(),
    ];
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let seen = send(&server, Some(own), "GET", "/page", &fields);
    assert_eq!(seen.status, 200);
    assert!(
        seen.body.contains("X-Claim-sub: joe") && seen.body.contains("X-Remote-User: joe"),
        "{}",
        seen.body
    );
    for absent in ["Authorization", "access_token", "admin", &token] {
        assert!(!seen.body.contains(absent), "{absent}: {}", seen.body);
    }
}

#[test]
fn the_ready_made_api_does_what_it_says() {
    let backend = Backend::http();
    let server = start(&read("conf/vhost-api.conf"), backend.port());
    let (own, other) = (&pki().self_signed, &pki().client_b);
    let bound = bound_to(own);
    let mut admin = bound.clone();
    admin["scope"] = json!("read admin");
    let mut elsewhere = bound.clone();
    elsewhere["aud"] = json!("https://another.example.org");
    for (claims, identity, path, status) in [
        (&bound, Some(own), "/page", 200),
        (&bound, Some(other), "/page", 401),
        (&bound, None, "/page", 401),
        (&json!({}), Some(own), "/page", 401),
        (&elsewhere, Some(own), "/page", 401),
        (&bound, Some(own), "/admin/page", 403),
        (&admin, Some(own), "/admin/page", 200),
        (&admin, Some(other), "/admin/page", 401),
    ] {
        let token = token(claims.clone());
        let answer = send(&server, identity, "GET", path, &[&bearer(&token)]);
        assert_eq!(answer.status, status, "{claims} {path} {answer:?}");
        assert!(
            !answer.body.contains(&token) || answer.body.contains("X-Claim-access_token"),
            "{}",
            answer.body
        );
    }
    assert_eq!(send(&server, Some(own), "GET", "/page?access_token=secret", &[]).status, 401);
    let access_log = server.file("api.example.org.log");
    assert!(access_log.contains("\"GET /page HTTP/1.1\"") && !access_log.contains("secret"), "{access_log}");
}

#[test]
fn a_section_s_verifiers_take_the_place_of_the_outer_ones() {
    let server = start(&recipe("Several authorization servers"), 9);
    let own = &pki().client_a;
    let status = |identity: Option<&Identity>, path: &str, claims: Value| {
        send(&server, identity, "GET", path, &[&bearer(&token(claims))]).status
    };
    let (partner, ours) = ("https://partners.example.net", "https://as.example.org");
    let with = |issuer: &str, mut claims: Value| {
        claims["iss"] = json!(issuer);
        claims
    };
    assert_eq!(status(None, "/hello.txt", with(ours, json!({}))), 200);
    assert_eq!(status(None, "/hello.txt", with(partner, json!({}))), 401);
    assert_eq!(status(Some(own), "/hello.txt", with(partner, bound_to(own))), 200);
    assert_eq!(status(None, "/hello.txt", with("https://stranger.example.net", json!({}))), 401);
    // 404: past authorization.
    assert_eq!(status(Some(own), "/internal/x", with(ours, bound_to(own))), 404);
    assert_eq!(status(None, "/internal/x", with(ours, json!({}))), 401);
    assert_eq!(status(Some(own), "/internal/x", with(partner, bound_to(own))), 401);
}

/// The texts of thiserror attributes as patterns: any text for each placeholder.
fn error_texts(source: &str) -> Vec<String> {
    let source = read(source);
    let source = source.split("#[cfg(test)]").next().unwrap();
    let texts = source.split("#[error(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    texts.map(|rest| pattern(rest.split('"').next().unwrap())).filter(|text| text != "*").collect()
}

fn pattern(format: &str) -> String {
    let mut pattern = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('{') {
        pattern = pattern + before + "*";
        rest = after.split_once('}').expect("a placeholder's end").1;
    }
    pattern + rest
}

#[test]
fn every_reason_in_the_log_is_explained() {
    let document = read("docs/oauth2.md");
    let mut reasons = Vec::new();
    for source in ["refusal", "cnf"] {
        reasons.extend(error_texts(&format!("crates/sender-constraint/src/{source}.rs")));
    }
    // What Require did not grant is logged by httpd.
    reasons.retain(|reason| reason != "the token's claims do not meet the requirement");
    reasons.extend(error_texts("crates/backchannel/src/http.rs"));
    assert!(reasons.len() >= 35, "{reasons:?}");
    for reason in reasons {
        let row = format!("| `{reason}` |");
        assert!(document.lines().any(|line| line.starts_with("| `") && matches(line, &row)), "no row {row}");
    }
    let [resting] = &error_texts("crates/backchannel/src/redis_cache.rs")
        .into_iter()
        .filter(|text| text.starts_with("redis at"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("redis fails in other words")
    };
    assert!(document.lines().any(|line| matches(line, &format!("| `token cache: {resting}` | error |"))));
}

#[test]
fn every_answer_to_a_client_is_in_the_table() {
    let document = read("docs/oauth2.md");
    let source = read("crates/sender-constraint/src/refusal.rs");
    let (_, functions) = source.split_once("const fn describe(").unwrap();
    let (functions, _) = functions.split_once("const fn label(").unwrap();
    let descriptions: Vec<&str> = functions.split('"').skip(1).step_by(2).collect();
    assert!(descriptions.len() >= 18, "{descriptions:?}");
    for description in descriptions {
        assert!(document.contains(&format!("| `{description}` |")), "{description}");
    }
}
