//! `ClientCertForward`: the certificate as a backend gets it (RFC 9440), and what becomes of it where it is too large.

use openssl::ssl::SslVersion;
use openssl::x509::X509;
use sender_constraint::client_cert_header::client_cert;
use serde_json::{Value, json};
use tokbind::tls::Identity;

use super::application::Application;
use super::stage::{HOSTS, Stage, php_server};
use crate::common::certificates::Identity as Minted;
use crate::common::exchange::{get_plain, post_plain};
use crate::common::{Backend, Bound, Builder, Httpd, Independent, connector, pki};

const OVERSIZE: &str = "octets, more than LimitRequestFieldSize";

/// A server that asks for certificates, before a backend that answers with the request's head.
fn before(backend: &Backend, lines: &str) -> Builder {
    Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .value("backend", format!("http://127.0.0.1:{}", backend.port()))
        .tls_config("SSLVerifyClient optional_no_ca")
        .tls_config(lines)
}

/// The values of both fields in a request's head, as they are.
fn fields(head: &str) -> [Option<&str>; 2] {
    ["Client-Cert", "Client-Cert-Chain"].map(|name| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {head}");
        value
    })
}

/// What a byte sequence holds (RFC 9651 §4.2.7), read by OpenSSL's decoder of base64.
fn certificate(item: &str) -> X509 {
    let text = item.strip_prefix(':').and_then(|text| text.strip_suffix(':')).expect("a byte sequence");
    X509::from_der(&openssl::base64::decode_block(text).expect("base64")).expect("a certificate")
}

/// Client A, who presents these certificates with hers.
fn with_chain(chain: &[&Minted]) -> Identity {
    let all = [&pki().client_a].into_iter().chain(chain.iter().copied());
    let certificates: Vec<u8> = all.flat_map(Minted::certificate_pem).collect();
    Identity::from_pem(&certificates, &pki().client_a.key_pem()).unwrap()
}

#[test]
fn certificate_and_chain_arrive_as_they_were_presented() {
    let backend = Backend::http();
    let server = before(
        &backend,
        "ProxyPass / {backend}/\nClientCertForward Chain\n\
         <Location /cert>\nClientCertForward Cert\n</Location>\n<Location /off>\nClientCertForward Off\n</Location>",
    )
    .start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let settings =
            connector().tls_version(version).identity(with_chain(&[&pki().ca, &pki().self_signed]));
        let mut client = Bound::connect(&settings.build().unwrap(), server.tls(), "localhost");
        for _ in 0..2 {
            let head = client.get("/", &["Client-Cert: :AAAA:", "Client-Cert-Chain: :AAAA:"]).body;
            let [Some(leaf), Some(chain)] = fields(&head) else { panic!("{head}") };
            assert!(certificate(leaf) == pki().client_a.certificate, "{head}");
            // RFC 9440 §2.3: in the order of TLS, without the client's own.
            let chain: Vec<_> = chain.split(", ").map(certificate).collect();
            assert!(chain == [pki().ca.certificate.clone(), pki().self_signed.certificate.clone()]);
            let head = client.get("/cert", &["Client-Cert-Chain: :AAAA:"]).body;
            assert!(matches!(fields(&head), [Some(_), None]), "{head}");
            assert_eq!(fields(&client.get("/off", &["Client-Cert: :AAAA:"]).body), [None, None]);
        }
    }
}

#[test]
fn without_a_certificate_there_is_nothing_whatever_the_client_says() {
    let backend = Backend::http();
    let lines = "ProxyPass / {backend}/\nClientCertForward Chain";
    let server = before(&backend, lines).plain_config(lines).start();
    let der = pki().client_a.certificate.to_der().unwrap();
    let forged = [
        format!("Client-Cert: {}", client_cert(&der)),
        format!("client_cert_chain: {}", client_cert(&der)),
        format!("CLIENT.CERT: {}", client_cert(&der)),
    ];
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    for claims in [&[][..], &forged] {
        let tls = Bound::open(&server).get("/", claims).body;
        let plain = get_plain(server.plain(), "localhost", "/", claims).body;
        for head in [tls, plain] {
            assert!(!head.to_lowercase().replace(['_', '.'], "-").contains("client-cert"), "{head}");
        }
    }
}

#[test]
fn over_http2_each_stream_has_its_connections_certificate() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/\nClientCertForward Chain")
        .load(&["http2"])
        .config("Protocols h2 http/1.1")
        .start();
    let mut client = Independent::start();
    client.key("key", "ecdsap256");
    for name in ["client_a", "client_b"] {
        let file = |suffix: &str| server.pki(&format!("{name}.{suffix}")).display().to_string();
        let options = json!({"tls": "1.3", "alpn": "h2", "offer": "01000102",
            "certificate": file("pem"), "private_key": file("key")});
        client.connect(name, server.tls(), &options).done();
        let message = client.message(name, &json!([{"key": "key"}]));
        let request =
            json!({"path": "/", "headers": [["sec-token-binding", message], ["client-cert", ":AAAA:"]]});
        for answer in client.streams(name, &json!([request, request, request])) {
            let [Some(leaf), None] = fields(&answer.body) else { panic!("{answer:?}") };
            let expected = X509::from_pem(&std::fs::read(server.pki(&format!("{name}.pem"))).unwrap());
            assert!(certificate(leaf) == expected.unwrap(), "{answer:?}");
        }
    }
}

#[test]
fn a_chain_that_is_too_large_is_left_out_with_one_line_in_the_log() {
    let backend = Backend::http();
    let server =
        before(&backend, "ProxyPass / {backend}/\nClientCertForward Chain").expect_log(OVERSIZE).start();
    // httpd's own limit is 8190 octets. What the certificates are does not matter.
    let chain = [&pki().ca; 24];
    let connector = connector().identity(with_chain(&chain)).build().unwrap();
    let mut client = Bound::connect(&connector, server.tls(), "localhost");
    for _ in 0..3 {
        let answer = client.get("/", &[]);
        let [Some(leaf), None] = fields(&answer.body) else { panic!("{answer:?}") };
        assert!(answer.status == 200 && certificate(leaf) == pki().client_a.certificate);
    }
    assert_eq!(server.log().matches(OVERSIZE).count(), 1);
    assert!(server.log().contains("error] ") && server.log().contains("Client-Cert-Chain has "));
}

#[test]
fn a_certificate_that_is_too_large_is_left_out_and_binds_nothing_behind_the_proxy() {
    let python = Application::python();
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .tls_config("SSLVerifyClient optional_no_ca\nClientCertForward Chain\nLimitRequestFieldSize 350")
        .tls_config(&format!("ProxyPass / http://127.0.0.1:{}/", python.port()))
        .expect_log(OVERSIZE)
        .start();
    let connector = connector().identity(with_chain(&[&pki().ca])).build().unwrap();
    let mut client = Bound::connect(&connector, server.tls(), "localhost");
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {}\r\nContent-Length: 10\r\n\r\nuser=alice",
        client.message()
    );
    let answer = client.exchange(&request).unwrap();
    assert!(answer.status == 200 && answer.body.contains("token-binding"), "{answer:?}");
    assert!(
        !answer.body.contains("certificate"),
        "neither field, the chain never without the certificate: {answer:?}"
    );
    let log = server.log();
    assert!(log.contains("Client-Cert has ") && log.matches(OVERSIZE).count() <= 2, "{log}");
}

#[test]
fn a_resumed_connection_has_the_certificate_and_no_chain() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/\nClientCertForward Chain").start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let settings = connector().tls_version(version).identity(with_chain(&[&pki().ca])).resumption(true);
        let connector = settings.build().unwrap();
        let chains: Vec<_> = (0..2)
            .map(|_| {
                let head = Bound::connect(&connector, server.tls(), "localhost").get("/", &[]).body;
                let [Some(leaf), chain] = fields(&head) else { panic!("{head}") };
                assert!(certificate(leaf) == pki().client_a.certificate);
                chain.is_some()
            })
            .collect();
        assert_eq!(chains, [true, false], "{version:?}");
    }
}

#[test]
fn reference_backends_read_the_example_of_rfc_9440() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/specs/vectors.json");
    let Ok(text) = std::fs::read(path) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{path} is missing");
        eprintln!("NOT RUN: the example of RFC 9440, {path} is missing");
        return;
    };
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let vector = &vectors["rfc9440"][0];
    let field = format!("Client-Cert: {}", vector["client_cert"].as_str().unwrap());
    let (python, node, php) = (Application::python(), Application::node(&[]), Application::php());
    let php_server = php_server(php.port());
    for address in [python.address(), node.address(), php_server.plain()] {
        let answer = post_plain(address, "localhost", "/login", &[&field], "user=alice");
        let session: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(session["bound_to"], json!({"certificate": vector["x5t_S256"][0]}), "{answer:?}");
    }
}

#[test]
fn what_a_backend_says_varies_by_certificate_is_for_no_cache_outside() {
    let stage = Stage::set();
    for host in HOSTS {
        let answer = stage.nobody().and_certificate(&pki().client_a).ask(host, "GET /", &[], "");
        let forwarded = !["fastcgi.test", "cgi.test"].contains(&host);
        let vary = answer.header("Vary").expect("the backend says it").replace(' ', "");
        assert_eq!(vary, if forwarded { "*" } else { "Cookie,Client-Cert" }, "{host}");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{host}");
    }
}

/// httpd's own cache looks before Client-Cert is there.
#[test]
fn nor_for_httpds_own_cache() {
    let backend = Backend::answering(|head| {
        let certificate = fields(head)[0].unwrap_or("nobody").to_owned();
        let status = match head.starts_with("GET /same ") {
            true => "200 OK\r\nCache-Control: public, max-age=60",
            false => "200 OK\r\nCache-Control: public, max-age=60\r\nVary: Client-Cert",
        };
        (status, "text/plain", certificate)
    });
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http", "cache", "cache_socache"])
        .config("CacheEnable socache /\nCacheSocache shmcb")
        .tls_config(
            "SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem\nSSLVerifyClient optional_no_ca",
        )
        .tls_config(&format!("ClientCertForward Cert\nProxyPass / https://localhost:{}/", backend.port()))
        .start();
    let ask = |path: &str, of: Option<&Minted>| {
        let settings = match of {
            Some(of) => connector().identity(crate::common::identity(of)),
            None => connector(),
        };
        Bound::connect(&settings.build().unwrap(), server.tls(), "localhost").get(path, &[]).body
    };
    let expected = |of: &Minted| client_cert(&of.certificate.to_der().unwrap());
    for _ in 0..2 {
        assert_eq!(ask("/varies", None), "nobody");
        assert_eq!(ask("/varies", Some(&pki().client_a)), expected(&pki().client_a));
        assert_eq!(ask("/varies", Some(&pki().client_b)), expected(&pki().client_b));
    }
    // The cache is at work where a backend does not say so.
    assert_eq!(ask("/same", None), "nobody");
    assert_eq!(ask("/same", Some(&pki().client_a)), "nobody");
}
