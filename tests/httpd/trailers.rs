//! Trailers come after everything was judged, and with `MergeTrailers On` among the header fields. They change nothing.

use std::fs;

use serde_json::json;
use tokbind::tls::Offer;

use crate::common::fastcgi::Parameters;
use crate::common::{Backend, Bound, Builder, FastCgi, Httpd, Independent, connector, id, keys};

/// What only the server may say, and one field that anybody may.
const TRAILERS: [(&str, &str); 10] = [
    ("Sec-Provided-Token-Binding-ID", "forged"),
    ("sec_provided_token_binding_id", "forged"),
    ("Sec-Referred-Token-Binding-ID", "forged"),
    ("Sec.Other-Token_Binding-ID", "forged"),
    ("Token-Binding-Context", "forged"),
    ("Sec-Token-Binding", "forged"),
    ("TB_SSL_CLIENT_CERT_FINGERPRINT", "forged"),
    ("TB-SSL-Client-Cert-Fingerprint", "forged"),
    ("Client-Cert", "forged"),
    ("X-Free", "yes"),
];

/// A server before a FastCGI application, which hears of trailers where they are merged.
fn before(application: &FastCgi, merge: &str) -> Builder {
    Httpd::builder()
        .load(&["proxy", "proxy_fcgi", "http2"])
        .value("fcgi", application.port())
        .config(&format!("Protocols h2 http/1.1\nMergeTrailers {merge}"))
        .config("LogFormat \"%{Sec-Provided-Token-Binding-ID}i|%{Client-Cert}i|%{TB_SSL_CLIENT_CERT_FINGERPRINT}i|%{X-Free}i\" fields")
        .config("LogFormat \"%{Sec-Provided-Token-Binding-ID}^ti|%{Client-Cert}^ti|%{X-Free}^ti\" trailers")
        .config("CustomLog {root}/fields.log fields\nCustomLog {root}/trailers.log trailers")
        .config("ProxyPass /application fcgi://127.0.0.1:{fcgi}/")
}

/// A POST in one chunk with all trailers.
fn chunked(path: &str, message: Option<&str>) -> String {
    let field = message.map(|message| format!("Sec-Token-Binding: {message}\r\n")).unwrap_or_default();
    let trailers: String = TRAILERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{field}\r\n5\r\nhello\r\n0\r\n{trailers}\r\n"
    )
}

/// The variables that tell of bindings and certificates; and whether trailers were merged at all.
fn told(parameters: &Parameters) -> (Vec<(&str, &str)>, bool) {
    let telling = |name: &str| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        name.contains("token_binding_id") || name.contains("cert") || name == "http_sec_token_binding"
    };
    let pairs = parameters.iter().filter(|(name, _)| telling(name));
    (
        pairs.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        parameters.contains_key("HTTP_X_FREE"),
    )
}

#[test]
fn trailers_do_not_turn_into_variables() {
    let provided = id(&keys().a);
    let bound = [
        ("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID", provided.as_str()),
        ("Sec-Provided-Token-Binding-ID", provided.as_str()),
    ];
    for (merge, merged) in [("On", true), ("Off", false)] {
        let application = FastCgi::start();
        let server = before(&application, merge).start();
        let mut client = Bound::open(&server);
        for _ in 0..2 {
            let request = chunked("/application", Some(&client.message()));
            assert_eq!(client.exchange(&request).unwrap().status, 200);
            let parameters = application.last();
            assert_eq!(told(&parameters), (bound.to_vec(), merged), "MergeTrailers {merge}: {parameters:?}");
            assert!(!parameters.values().any(|value| value.contains("forged")), "{parameters:?}");
        }
        let unbound = connector().offer(Offer::None).build().unwrap();
        let mut client = Bound::connect(&unbound, server.tls(), "localhost");
        assert_eq!(client.exchange(&chunked("/application", None)).unwrap().status, 200);
        let parameters = application.last();
        assert_eq!(told(&parameters), (Vec::new(), merged), "MergeTrailers {merge}: {parameters:?}");
    }
}

#[test]
fn the_same_under_http2() {
    for (merge, merged) in [("On", true), ("Off", false)] {
        let application = FastCgi::start();
        let server = before(&application, merge).start();
        let mut client = Independent::start();
        client.connect("one", server.tls(), &json!({"tls": "1.3", "alpn": "h2", "offer": "01000102"})).done();
        let key = client.key("key", "ecdsap256");
        let message = client.message("one", &json!([{"key": "key"}]));
        for length in [true, false] {
            let mut headers = vec![json!(["sec-token-binding", message])];
            headers.extend(length.then(|| json!(["content-length", "5"])));
            let requests =
                json!([{"path": "/application", "headers": headers, "body": "hello", "trailers": TRAILERS}]);
            assert_eq!(client.streams("one", &requests)[0].status, 200, "{requests}");
            let parameters = application.last();
            let expected = [
                ("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID", key.id.as_str()),
                ("Sec-Provided-Token-Binding-ID", key.id.as_str()),
            ];
            assert_eq!(told(&parameters), (expected.to_vec(), merged), "{merge} {length}: {parameters:?}");
        }
    }
}

#[test]
fn a_location_that_passes_nothing_passes_nothing_afterwards() {
    let application = FastCgi::start();
    let server = before(&application, "On")
        .config("<Location /application>\nTokenBindingPassVar none\n</Location>")
        .start();
    let mut client = Bound::open(&server);
    let request = chunked("/application", Some(&client.message()));
    assert_eq!(client.exchange(&request).unwrap().status, 200);
    let parameters = application.last();
    assert_eq!(told(&parameters), (Vec::new(), true), "{parameters:?}");
}

#[test]
fn logs_and_backends_do_not_see_them_either() {
    let (application, backend) = (FastCgi::start(), Backend::http());
    for (merge, free) in [("On", "yes"), ("Off", "-")] {
        let server = before(&application, merge)
            .load(&["proxy_http"])
            .value("backend", backend.port())
            .config("ProxyPass /backend http://127.0.0.1:{backend}/")
            .start();
        let mut client = Bound::open(&server);
        // The body is read by a handler, by a proxy, and by httpd itself, which throws it away.
        for (path, status) in [("/cgi/input.cgi", 200), ("/backend", 200), ("/hello.txt", 200)] {
            let request = chunked(path, Some(&client.message()));
            assert_eq!(client.exchange(&request).unwrap().status, status, "{path}");
            // One request more, so that the one before is in the logs.
            assert_eq!(client.get("/hello.txt", &[]).status, 200, "{path}: the connection goes on");
        }
        let log = |name: &str| fs::read_to_string(server.document_root().with_file_name(name)).unwrap();
        let expected = format!("{}|-|-|{free}", id(&keys().a));
        let fields = log("fields.log");
        let of_posts: Vec<_> = fields.lines().step_by(2).collect();
        assert_eq!(of_posts, [expected.as_str(); 3], "MergeTrailers {merge}: {fields}");
        assert!(
            log("trailers.log").lines().step_by(2).all(|line| line == "-|-|yes"),
            "{}",
            log("trailers.log")
        );
    }
    for head in backend.heads() {
        assert!(!head.contains("forged") && head.contains("Sec-Provided-Token-Binding-ID"), "{head}");
    }
}

#[test]
fn an_internal_redirect_after_the_body_is_no_way_in() {
    let server = Httpd::builder()
        .config("MergeTrailers On")
        .file("consume.cgi", "#!/bin/sh\ncat >/dev/null\nprintf 'Location: /cgi/env.cgi\\r\\n\\r\\n'\n")
        .start();
    let mut client = Bound::open(&server);
    let request = chunked("/consume.cgi", Some(&client.message()));
    let answer = client.exchange(&request).unwrap();
    assert_eq!(answer.variable("Sec_Provided_Token_Binding_ID"), Some(id(&keys().a).as_str()), "{answer:?}");
    assert_eq!(answer.variable("HTTP_X_FREE"), Some("yes"), "merged before the redirect: {answer:?}");
    assert!(!answer.body.contains("forged"), "{answer:?}");
}
