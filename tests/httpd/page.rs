//! The page of the test server (docker/page): is what it says right, and is what others say in it harmless?

use std::sync::LazyLock;

use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{PKey, Private};
use tokbind::tls::{Blocking, Identity, Offer, TlsConnection};

use crate::common::bound::thumbprint;
use crate::common::certificates::self_signed;
use crate::common::exchange::{Answer, get_tls};
use crate::common::{Bound, Builder, Httpd, connector, id, identity, keys, pki, tbh};

const PAGE: &str = include_str!("../../docker/page/htdocs/index.shtml");
const CONFIGURATION: &str = include_str!("../../docker/page/page.conf");
const BACKEND: &str = include_str!("../../docker/page/backend");
const HOSTILE: &str = "<script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;";

static AS_KEY: LazyLock<PKey<Private>> = LazyLock::new(|| PKey::generate_ed25519().expect("a new key"));

/// The test server, before a backend that listens at `backend`.
fn before(backend: &str) -> Builder {
    Httpd::builder()
        .load(&["proxy", "proxy_http", "headers", "include"])
        .file("page/page.conf", CONFIGURATION)
        .file("page/htdocs/index.shtml", PAGE)
        .file("page/application", include_str!("../../docker/page/application"))
        .file("page/replay", include_str!("../../docker/page/replay"))
        .file("page/token", include_str!("../../docker/page/token"))
        .file("as.key", &String::from_utf8(AS_KEY.private_key_to_pem_pkcs8().expect("PEM")).expect("text"))
        .file("as.pem", &String::from_utf8(AS_KEY.public_key_to_pem().expect("PEM")).expect("text"))
        .load(&["authz_user"])
        .value("backend", backend)
        .tls_config(
            "SSLVerifyClient optional_no_ca\nProxyPass /backend {backend}\n\
             Define PAGE {docroot}/page\nDefine URL https://localhost:{port:tls}\nDefine CONNECT 127.0.0.1:{port:tls}\n\
             Define CA {pki}/ca.pem\nDefine TOKBIND {docroot}/tokbind\nSetEnv CERTIFICATE \"<client.p12>\"\n\
             Define AS_KEY {docroot}/as.key\nScriptAlias /api {docroot}/page/application\n\
             <Location /api>\nAuthType oauth2\nAuthName api\n\
             OAuth2TokenVerify pubkey {docroot}/as.pem type=mtls&iss=https://as.example.org&aud=https://localhost:{port:tls}\n\
             Require oauth2_claim scope:read\n</Location>\n\
             Include {docroot}/page/page.conf",
        )
}

fn page() -> Httpd {
    before("http://127.0.0.1:9/").start()
}

fn open(server: &Httpd, certificate: Option<Identity>) -> Bound<TlsConnection<Blocking>> {
    let settings = match certificate {
        Some(identity) => connector().identity(identity),
        None => connector(),
    };
    Bound::connect(&settings.build().expect("a connector"), server.tls(), "localhost")
}

/// Without its style and script, which are the same for everybody.
fn said(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    let (_, body) = answer.body.split_once("</style>").expect("a style");
    body.split_once("<script>").expect("a script").0
}

fn expect(page: &str, what: &[&str]) {
    for what in what {
        assert!(page.contains(what), "no {what:?} in {page}");
    }
    // What mod_include writes where it does not understand.
    assert!(!page.contains("an error occurred") && !page.contains("<!--#"), "{page}");
}

#[test]
fn it_says_what_the_connection_is_bound_to() {
    let server = page();
    let certificate = thumbprint(&server.pki("client_a.pem"));

    let unbound = get_tls(server.tls(), "localhost", "/", &["User-Agent: a browser"]);
    let nothing = said(&unbound);
    expect(nothing, &["This connection is bound to nothing", ">not-negotiated<", "&lt;client.p12&gt;"]);
    expect(nothing, &["HTTP/1.1", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "a browser", "class=\"open\""]);

    let bound = open(&server, None).get("/", &[]);
    let (provided, hash) = (id(&keys().a), tbh(&keys().a));
    expect(
        said(&bound),
        &["This connection is bound to your key<", ">verified<", &provided, &hash, "ecdsap256"],
    );
    assert!(!said(&bound).contains("Referred ID"));

    let referred = open(&server, None).referring(&keys().elsewhere).get("/", &[]);
    expect(said(&referred), &["Referred ID", &id(&keys().elsewhere)]);

    let both = open(&server, Some(identity(&pki().client_a))).get("/", &[]);
    expect(said(&both), &["bound to your key and to your certificate", &provided, &certificate]);
    expect(said(&both), &["CN=client A", "CN=test CA", "<dd>verified</dd>", "class=\"bound\""]);
}

#[test]
fn a_certificate_alone_counts_and_its_names_are_text() {
    let server = page();
    let hostile = identity(&self_signed(HOSTILE));
    let connector = connector().identity(hostile).offer(Offer::None).build().expect("a connector");
    let mut client = Bound::connect(&connector, server.tls(), "localhost");
    let agent = format!("User-Agent: {HOSTILE}");
    let answer = client.unbound("/", &[&agent]);
    let page = said(&answer);
    expect(
        page,
        &["This connection is bound to your certificate<", "not verified: anybody could have made it"],
    );
    let escaped = "&lt;img src=x onerror=";
    assert_eq!(page.matches(escaped).count(), 3, "subject, issuer and User-Agent: {page}");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    // Programs answer with text, which no browser takes for anything else.
    let answer = client.unbound("/application", &[&agent]);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
}

#[test]
fn the_backend_is_told_and_what_it_answers_is_text() {
    let backend = Httpd::builder()
        .without_module()
        .file("page/backend", BACKEND)
        .plain_config("ScriptAlias / {docroot}/page/backend/")
        .start();
    let server = before(&format!("http://127.0.0.1:{}/", backend.plain().port())).start();
    let mut client = open(&server, Some(identity(&pki().client_a)));
    let answer = client.get("/backend", &[&format!("X-Hostile: {HOSTILE}")]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.variable("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID"), Some(id(&keys().a).as_str()));
    assert_eq!(answer.variable("HTTP_X_HOSTILE"), Some(HOSTILE));
    assert!(answer.variable("HTTP_CLIENT_CERT").is_some_and(|value| value.starts_with(":MII")), "{answer:?}");
    assert!(!answer.body.contains("HTTP_SEC_TOKEN_BINDING="), "{answer:?}");
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
}

#[test]
fn a_replay_is_really_tried() {
    let server = page();
    add_tokbind(&server);
    let mark = server.log_mark();
    let own = open(&server, None).get("/replay", &[]).body;
    assert!(own.starts_with("# Your message was good on your connection."), "{own}");
    assert!(own.ends_with("\ntokbind: the server refused: 400 Bad Request\n"), "{own}");
    server.wait_for_log(mark, "request refused: Sec-Token-Binding: invalid signature");

    let mark = server.log_mark();
    let played = get_tls(server.tls(), "localhost", "/replay", &[]).body;
    assert!(played.contains("\nToken_Binding_Status=verified\n"), "{played}");
    assert!(played.ends_with("\ntokbind: the server refused: 400 Bad Request\n"), "{played}");
    server.wait_for_log(mark, "request refused: Sec-Token-Binding: invalid signature");
    // An unbound client's header is not taken for a message, nor for an option.
    let claimed = get_tls(server.tls(), "localhost", "/replay", &["Sec-Token-Binding: --help"]).body;
    assert!(claimed.starts_with("# This request came without a message."), "{claimed}");
    assert!(!claimed.contains("--help"), "{claimed}");
}

#[test]
fn a_stolen_token_is_really_tried() {
    let server = page();
    add_tokbind(&server);
    let mut victim = open(&server, Some(identity(&pki().client_a)));
    let token = victim.get("/token", &[]).body.trim().to_owned();
    server.forbid_in_log(&token);
    let bearer = format!("Authorization: Bearer {token}");
    let own = victim.get("/api", &[&bearer]);
    assert_eq!((own.status, own.variable("REMOTE_USER")), (200, Some("alice")), "{own:?}");
    // What a browser would post, and what somebody else might.
    for (body, verdict) in [
        (token, "Missing / invalid client X.509 certificate for x5t#S256 bound access token"),
        (format!("--help; touch x $(id) {HOSTILE}"), "401 Unauthorized"),
    ] {
        let length = body.len();
        let message = victim.message();
        let request = format!(
            "POST /replay HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {message}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let answer = victim.exchange(&request).expect("an answer").body;
        assert!(answer.contains("tokbind: the server refused: 401 Unauthorized"), "{answer}");
        assert!(answer.contains(verdict), "{answer}");
        assert!(!answer.contains(['<', '&']), "{answer}");
    }
    let mut thief = open(&server, Some(identity(&pki().client_b)));
    assert_eq!(thief.get("/api", &[&bearer]).status, 401);
    // Who shows no certificate gets a token that is bound to nothing, which nobody accepts.
    let unbound = get_tls(server.tls(), "localhost", "/token", &[]).body;
    assert_eq!(victim.get("/api", &[&format!("Authorization: Bearer {}", unbound.trim())]).status, 401);
}

#[test]
fn nothing_but_its_own_style_and_script_is_let_in() {
    let server = page();
    let answer = get_tls(server.tls(), "localhost", "/", &[]);
    let policy = answer.header("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
        let (_, rest) = answer.body.split_once(&format!("<{element}>")).expect("the element");
        let (text, after) = rest.split_once(&format!("</{element}>")).expect("its end");
        assert!(!after.contains(&format!("<{element}")), "one {element}");
        let digest = hash(MessageDigest::sha256(), text.as_bytes()).expect("SHA-256");
        let source = format!("{directive} 'sha256-{}';", openssl::base64::encode_block(&digest));
        assert!(policy.contains(&source), "docker/page/page.conf has to say {source}");
    }
    // What the policy forbids would be dead.
    for forbidden in [" style=", " onclick=", " onload=", " src=", "@import", "url(", "eval(", "innerHTML"] {
        assert!(!PAGE.contains(forbidden), "{forbidden}");
    }
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
    // The parts that it is made of are not there to be read.
    for path in ["/page.conf", "/page/page.conf", "/htdocs/"] {
        assert_ne!(get_tls(server.tls(), "localhost", path, &[]).status, 200, "{path}");
    }
}

/// Where the page's programs find it: httpd's user may not be allowed to look into target/.
fn add_tokbind(server: &Httpd) {
    let tokbind = std::env::current_exe().expect("a test binary has a path").with_file_name("../tokbind");
    std::fs::copy(&tokbind, server.document_root().join("tokbind"))
        .unwrap_or_else(|error| panic!("{}: {error} (cargo build -p tokbind)", tokbind.display()));
}
