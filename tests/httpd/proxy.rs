//! Before a backend: what it is told of a request, what it is never told, and that it is not asked for Token Binding itself.

use token_binding::{TokenBindingContext, verify};

use crate::common::{Backend, Bound, Builder, Httpd, Vhost, connector, id, keys};

const PROVIDED: &str = "Sec-Provided-Token-Binding-ID";
const REFERRED: &str = "Sec-Referred-Token-Binding-ID";
const OTHER: &str = "Sec-Other-Token-Binding-ID";
const CONTEXT: &str = "Token-Binding-Context";
const MESSAGE: &str = "Sec-Token-Binding";

/// The values of a field in a request's head as the backend got it.
fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

/// The fields of a head that are about Token Binding or certificates, in whatever spelling.
fn telling(head: &str) -> Vec<&str> {
    let names = head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    let letters = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    names
        .filter(|name| letters(name).contains("token-binding") || letters(name).contains("client-cert"))
        .collect()
}

/// A server before a plain backend, with these directives in its TLS host.
fn before(backend: &Backend, tls_config: &str) -> Builder {
    Httpd::builder()
        .load(&["proxy", "proxy_http", "headers"])
        .value("backend", format!("http://127.0.0.1:{}", backend.port()))
        .tls_config(tls_config)
}

#[test]
fn backends_get_the_ids_and_neither_the_message_nor_the_keying_material() {
    let (http, https) = (Backend::http(), Backend::https());
    let server = before(&http, "ProxyPass /plain {backend}/\nProxyPass /tls https://localhost:{https}/")
        .value("https", https.port())
        .config("TokenBindingEnabled On")
        .tls_config("SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem\nSSLProxyProtocol all")
        .start();
    for (path, backend) in [("/plain/", &http), ("/tls/", &https)] {
        let mut client = Bound::open(&server).referring(&keys().elsewhere);
        for round in 0..2 {
            assert_eq!(client.get(path, &["X-Kept: yes"]).status, 200);
            let head = &backend.heads()[round];
            assert_eq!(values(head, PROVIDED), [id(&keys().a)], "{head}");
            assert_eq!(values(head, REFERRED), [id(&keys().elsewhere)], "{head}");
            // draft-ietf-tokbind-ttrp §2.3: nothing there for what is not in the message; the message itself is removed.
            assert_eq!(telling(head), [PROVIDED, REFERRED], "{head}");
            assert_eq!(values(head, "X-Kept"), ["yes"]);
        }
    }
    // Towards backends httpd is the client, and speaks no Token Binding.
    let hellos = https.offered_extensions();
    assert!(!hellos.is_empty() && hellos.iter().all(|types| !types.contains(&24)), "{hellos:?}");
}

#[test]
fn each_location_passes_what_it_says() {
    let backend = Backend::http();
    let lists = [
        ("default", "", [PROVIDED, REFERRED].as_slice()),
        ("provided", "TokenBindingPassVar provided", &[PROVIDED]),
        ("referred", "TokenBindingPassVar Referred", &[REFERRED]),
        ("both", "TokenBindingPassVar referred provided", &[PROVIDED, REFERRED]),
        ("other", "TokenBindingPassVar other", &[]),
        ("none", "TokenBindingPassVar none", &[]),
        ("context", "TokenBindingPassVar context", &[MESSAGE, "Sec-Token-Binding-Context", CONTEXT]),
    ];
    let locations: String = lists
        .iter()
        .map(|(name, list, _)| {
            format!("<Location /{name}>\n{list}\nProxyPass {{backend}}/{name}\n</Location>\n")
        })
        .collect();
    let server = before(&backend, &locations).start();
    // On one connection and by one message: what a location withholds is not withheld from the next.
    let mut client = Bound::open(&server).referring(&keys().elsewhere);
    let message = client.message();
    for (name, _, expected) in lists.iter().chain(&lists) {
        let head = client.replay(&format!("/{name}"), &message, &[]).body;
        assert!(head.starts_with(&format!("GET /{name} ")), "{head}");
        let (mut told, mut expected) = (telling(&head), expected.to_vec());
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{name}: {head}");
    }
}

#[test]
fn inner_sections_override_outer_ones() {
    let backend = Backend::http();
    let server = before(
        &backend,
        "ProxyPass / {backend}/\nTokenBindingPassVar none\n\
         <Location /in>\nTokenBindingPassVar provided\n</Location>\n\
         <Location /in/ner>\nTokenBindingPassVar referred\n</Location>",
    )
    .start();
    let mut client = Bound::open(&server).referring(&keys().elsewhere);
    for (path, expected) in [("/", [].as_slice()), ("/in/", &[PROVIDED]), ("/in/ner", &[REFERRED])] {
        let head = client.get(path, &[]).body;
        assert_eq!(telling(&head), expected, "{path} {head}");
    }
}

#[test]
fn with_the_context_a_backend_verifies_by_itself() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/\nTokenBindingPassVar context").start();
    let mut client = Bound::open(&server).referring(&keys().elsewhere);
    let head = client.get("/", &[]).body;
    let (context, message) = (values(&head, CONTEXT), values(&head, MESSAGE));
    let (negotiated, ekm) = TokenBindingContext::decode(context[0].as_bytes()).expect("a context");
    assert_eq!((context.len(), message.len()), (1, 1), "{head}");
    assert_eq!(ekm.as_bytes(), client.stream().ekm().unwrap().as_bytes());
    let verified = verify(message[0].as_bytes(), &negotiated, &ekm).expect("a valid message");
    assert_eq!(verified.provided.to_base64url(), id(&keys().a));
    assert_eq!(verified.referred.map(|referred| referred.to_base64url()), Some(id(&keys().elsewhere)));
    // Under another connection's context the same message is worth nothing.
    let head = Bound::open(&server).get("/", &[]).body;
    let (negotiated, ekm) = TokenBindingContext::decode(values(&head, CONTEXT)[0].as_bytes()).unwrap();
    assert!(verify(message[0].as_bytes(), &negotiated, &ekm).is_err());
}

#[test]
fn the_snippet_of_version_1_works_as_it_stands() {
    let backend = Backend::http();
    let server = before(
        &backend,
        "ProxyPass / {backend}/\nRequestHeader set Token-Binding-Context \"%{Token-Binding-Context}e\"",
    )
    .start();
    let mut client = Bound::open(&server);
    for _ in 0..2 {
        let head = client.get("/", &["Token-Binding-Context: forged"]).body;
        let context = values(&head, CONTEXT);
        let (_, ekm) = TokenBindingContext::decode(context[0].as_bytes()).expect("a context");
        assert_eq!(ekm.as_bytes(), client.stream().ekm().unwrap().as_bytes());
        assert_eq!(context.len(), 1, "{head}");
    }
}

#[test]
fn other_types_are_told_by_their_number() {
    use token_binding::{MessageBuilder, TokenBindingType};
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/").start();
    let mut client = Bound::open(&server);
    let ekm = client.stream().ekm().unwrap();
    let mut message = MessageBuilder::new();
    for (kind, key) in [
        (TokenBindingType::Provided, &keys().a),
        (TokenBindingType::Other(0x7f), &keys().b),
        (TokenBindingType::Other(2), &keys().elsewhere),
    ] {
        tokbind::binding::push(&mut message, kind, key, &ekm).unwrap();
    }
    let head = client.replay("/", &message.to_field_value().unwrap(), &[]).body;
    let expected = format!("7f.{},2.{}", id(&keys().b), id(&keys().elsewhere));
    assert_eq!(values(&head, OTHER), [expected.as_str()], "{head}");
}

#[test]
fn what_clients_claim_does_not_reach_a_backend() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/")
        .plain_config("ProxyPass / {backend}/")
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off\nProxyPass / {backend}/"))
        .start();
    let claims = [
        "Sec-Provided-Token-Binding-ID: forged",
        "sec_provided_token_binding_id: forged",
        "Sec.Referred.Token.Binding.ID: forged",
        "SEC-OTHER_TOKEN-BINDING_ID: forged",
        "Token-Binding-Context: forged",
        "Sec_Token-Binding-Context: forged",
        "Sec_Token_Binding: forged",
        "TB_SSL_CLIENT_CERT_FINGERPRINT: forged",
        "TB-SSL-CLIENT-CERT-FINGERPRINT: forged",
        "Client-Cert: forged",
        "client_cert_chain: forged",
        "X-Kept: yes",
    ];
    let insecure = |name| Bound::connect(&connector().insecure().build().unwrap(), server.tls(), name);
    let unbound = connector().offer(tokbind::tls::Offer::None).build().unwrap();
    let plain = crate::common::exchange::get_plain(server.plain(), "localhost", "/", &claims).body;
    for head in [
        &Bound::connect(&unbound, server.tls(), "localhost").get("/", &claims).body,
        &insecure("off.test").get("/", &claims).body,
        &plain,
    ] {
        assert_eq!(telling(head), [""; 0], "{head}");
        assert!(!head.contains("forged") && head.contains("X-Kept: yes"), "{head}");
    }
    let head = Bound::open(&server).get("/", &claims).body;
    assert_eq!(telling(&head), [PROVIDED], "{head}");
    assert!(!head.contains("forged"), "{head}");
}

#[test]
fn requests_that_are_refused_reach_no_backend() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass / {backend}/").start();
    let stolen = Bound::open(&server).message();
    assert_eq!(Bound::open(&server).replay("/", &stolen, &[]).status, 400);
    assert_eq!(Bound::open(&server).unbound("/", &[]).status, 400);
    assert_eq!(backend.heads(), [""; 0]);
}

#[test]
fn rewritten_and_redirected_requests_tell_the_backend_the_same() {
    let backend = Backend::http();
    let server = before(&backend, "ProxyPass /behind {backend}/")
        .load(&["rewrite"])
        .tls_config("RewriteEngine On\nRewriteRule ^/rewritten {backend}/ [P]")
        .file("redirect.cgi", "#!/bin/sh\nprintf 'Location: /behind/\\r\\n\\r\\n'\n")
        .start();
    let mut client = Bound::open(&server);
    for path in ["/behind/", "/rewritten", "/redirect.cgi"] {
        let head = client.get(path, &[]).body;
        assert_eq!(values(&head, PROVIDED), [id(&keys().a)], "{path} {head}");
        assert_eq!(telling(&head), [PROVIDED], "{path} {head}");
    }
}
