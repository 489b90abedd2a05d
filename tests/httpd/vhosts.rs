//! Virtual hosts: each has settings of its own, by the name in SNI for the handshake and by `Host` for the request.

use crate::common::exchange::Answer;
use crate::common::{Bound, Httpd, Vhost, connector, id, keys, tbh};

const STATUS: &str = "Token_Binding_Status";

/// A client that speaks TLS to `name`. No certificate is for all names of the tests, so none is checked.
fn connect(server: &Httpd, name: &str) -> Bound {
    Bound::connect(&connector().insecure().build().unwrap(), server.tls(), name)
}

/// GET of the variables with another `Host` than the name in SNI.
fn ask_host(client: &mut Bound, host: &str, message: Option<&str>) -> Answer {
    let field = message.map(|message| format!("Sec-Token-Binding: {message}\r\n")).unwrap_or_default();
    client.exchange(&format!("GET /cgi/env.cgi HTTP/1.1\r\nHost: {host}\r\n{field}\r\n")).expect("an answer")
}

#[test]
fn each_host_names_its_variables() {
    let server = Httpd::builder()
        .config("TokenBindingProvidedEnvVar MAIN_PROVIDED")
        .vhost(Vhost::tls("own.test").config(
            "TokenBindingProvidedEnvVar OWN_PROVIDED\nTokenBindingReferredEnvVar OWN_REFERRED\n\
             TokenBindingContextEnvVar OWN_CONTEXT",
        ))
        .vhost(Vhost::tls("heir.test").config("TokenBindingReferredEnvVar HEIR_REFERRED"))
        .start();
    let (provided, referred) = (id(&keys().a), id(&keys().elsewhere));
    let seen = |name: &str| {
        let answer = connect(&server, name).referring(&keys().elsewhere).get("/cgi/env.cgi", &[]);
        // What has a fixed name has it everywhere.
        assert_eq!(answer.variable(STATUS), Some("verified"), "{name} {answer:?}");
        assert_eq!(answer.variable("Token_Binding_Hash"), Some(tbh(&keys().a).as_str()), "{name} {answer:?}");
        assert_eq!(answer.variable("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID"), Some(provided.as_str()));
        assert_eq!(answer.variable("Sec_Provided_Token_Binding_ID"), None, "{name} {answer:?}");
        answer
    };
    for (name, provided_name, referred_name, context_names) in [
        (
            "localhost",
            "MAIN_PROVIDED",
            "Sec_Referred_Token_Binding_ID",
            ["Token_Binding_Context", "Sec_Token_Binding_Context"].as_slice(),
        ),
        ("own.test", "OWN_PROVIDED", "OWN_REFERRED", &["OWN_CONTEXT"]),
        (
            "heir.test",
            "MAIN_PROVIDED",
            "HEIR_REFERRED",
            &["Token_Binding_Context", "Sec_Token_Binding_Context"],
        ),
    ] {
        let answer = seen(name);
        assert_eq!(answer.variable(provided_name), Some(provided.as_str()), "{name} {answer:?}");
        assert_eq!(answer.variable(referred_name), Some(referred.as_str()), "{name} {answer:?}");
        let contexts: Vec<_> = ["Token_Binding_Context", "Sec_Token_Binding_Context", "OWN_CONTEXT"]
            .into_iter()
            .filter(|context| answer.variable(context).is_some_and(|value| value.len() == 47))
            .collect();
        assert_eq!(contexts, context_names, "{name} {answer:?}");
    }
}

#[test]
fn each_host_decides_about_missing_messages() {
    let server = Httpd::builder()
        .config("TokenBindingMissing Allow")
        .vhost(Vhost::tls("strict.test").config("TokenBindingMissing Reject"))
        .vhost(Vhost::tls("heir.test"))
        .start();
    for (name, status) in [("localhost", 200), ("strict.test", 400), ("heir.test", 200)] {
        let mut client = connect(&server, name);
        assert_eq!(client.unbound("/hello.txt", &[]).status, status, "{name}");
        // A bad message is refused either way.
        let answer = connect(&server, name).replay("/hello.txt", "AAAA", &[]);
        assert_eq!(answer.status, 400, "{name}");
    }
}

#[test]
fn key_parameters_are_those_of_the_name_in_sni() {
    let server = Httpd::builder()
        .vhost(Vhost::tls("rsa.test").config("TokenBindingKeyParameters rsa2048_pss"))
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .start();
    let mut ecdsa = connect(&server, "localhost");
    assert_eq!(ecdsa.get("/cgi/env.cgi", &[]).variable("Token_Binding_Key_Parameters"), Some("ecdsap256"));
    let mut rsa = connect(&server, "rsa.test").with_key(&keys().elsewhere);
    assert_eq!(rsa.get("/cgi/env.cgi", &[]).variable("Token_Binding_Key_Parameters"), Some("rsa2048_pss"));
    assert_eq!(connect(&server, "rsa.test").get("/hello.txt", &[]).status, 400, "an ecdsap256 key");
    let mut off = connect(&server, "off.test");
    assert_eq!(off.stream().reply(), None, "the extension is not answered");
    let message = off.message();
    let answer = off.get("/cgi/env.cgi", &["Sec-Provided-Token-Binding-ID: forged"]);
    assert_eq!(answer.variable(STATUS), Some("disabled"), "{answer:?}");
    assert!(!answer.body.contains(&message) && !answer.body.contains("forged"), "{answer:?}");
}

#[test]
fn hosts_are_switched_on_one_by_one() {
    let off_by_default = Httpd::builder()
        .config("TokenBindingEnabled Off")
        .vhost(Vhost::tls("on.test").config("TokenBindingEnabled On"))
        .start();
    let on_by_default =
        Httpd::builder().vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off")).start();
    for (server, name, status) in [
        (&off_by_default, "localhost", "disabled"),
        (&off_by_default, "on.test", "verified"),
        (&off_by_default, "unknown.test", "disabled"),
        (&on_by_default, "localhost", "verified"),
        (&on_by_default, "off.test", "disabled"),
        (&on_by_default, "unknown.test", "verified"),
    ] {
        let answer = connect(server, name).get("/cgi/env.cgi", &[]);
        assert_eq!(answer.variable(STATUS), Some(status), "{name} {answer:?}");
    }
}

#[test]
fn a_request_for_another_host_than_in_sni_is_judged_by_both() {
    let server = Httpd::builder()
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .vhost(Vhost::tls("lax.test").config("TokenBindingMissing Allow\nTokenBindingProvidedEnvVar LAX"))
        .start();
    // Negotiated, but the host asked for has it switched off: nothing is told, the message is dropped.
    let mut client = connect(&server, "localhost");
    let message = client.message();
    let answer = ask_host(&mut client, "off.test", Some(&message));
    assert_eq!((answer.status, answer.variable(STATUS)), (200, Some("disabled")), "{answer:?}");
    assert!(!answer.body.contains(&message) && answer.variable("Sec_Provided_Token_Binding_ID").is_none());
    // The handshake's host switched it off: there is nothing to verify with.
    let mut client = connect(&server, "off.test");
    let answer = ask_host(&mut client, "localhost", Some(&message));
    assert_eq!((answer.status, answer.variable(STATUS)), (200, Some("not-negotiated")), "{answer:?}");
    // Both have it on: the request's host says what is missing and how variables are called.
    let mut client = connect(&server, "localhost");
    let message = client.message();
    assert_eq!(ask_host(&mut client, "lax.test", None).variable(STATUS), Some("missing"));
    let answer = ask_host(&mut client, "lax.test", Some(&message));
    assert_eq!(answer.variable("LAX"), Some(id(&keys().a).as_str()), "{answer:?}");
    assert_eq!(ask_host(&mut client, "localhost", None).status, 400);
    let mut client = connect(&server, "lax.test");
    assert_eq!(ask_host(&mut client, "localhost", None).status, 400);
}

#[test]
fn without_tls_nothing_is_bound_and_nothing_believed() {
    let server = Httpd::builder().start();
    let answer = crate::common::exchange::get_plain(
        server.plain(),
        "localhost",
        "/cgi/env.cgi",
        &[
            "Sec-Token-Binding: AAAA",
            "Sec-Provided-Token-Binding-ID: forged",
            "Token_Binding_Context: forged",
        ],
    );
    assert_eq!((answer.status, answer.variable(STATUS)), (200, Some("no-tls")), "{answer:?}");
    assert!(!answer.body.contains("forged") && !answer.body.contains("AAAA"), "{answer:?}");
}
