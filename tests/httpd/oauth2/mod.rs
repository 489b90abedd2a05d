//! `AuthType oauth2` on a real httpd, with keys in the configuration: nobody needs to be asked.

mod auth_openidc;
mod binding;
mod cached;
mod configuration;
mod continuing;
mod elsewhere;
mod hostile;
mod passing;
mod requirements;
mod seed;
mod spoofing;
mod statuses;
mod stripping;
pub mod tokens;

use openssl::ssl::SslVersion;
use tokbind::http1::Client;
use tokbind::tls::{Connector, Offer};

use crate::common::certificates::Identity;
use crate::common::exchange::Answer;
use crate::common::{Bound, Builder, Httpd, bound, connector};

/// A location that wants an access token, with these directives; at `/NAME/env` an application prints its environment.
fn place(name: &str, lines: &str) -> String {
    format!("<Location /{name}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n{lines}\n</Location>\n")
}

/// A server with these places, where client certificates are asked for and not checked.
fn server(places: &[(&str, &str)]) -> Builder {
    let places: String = places.iter().map(|(name, lines)| place(name, lines)).collect();
    Httpd::builder()
        .load(&["authz_user"])
        .value("one", tokens::keys().one.quoted())
        .config("TokenBindingMissing Allow\nMaxKeepAliveRequests 0")
        .file(
            "cgi/env.cgi",
            "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat > /dev/null\nenv | sort\n",
        )
        .config("AliasMatch \"^/[a-z0-9-]+/env$\" \"{docroot}/cgi/env.cgi\"")
        .config("AliasMatch \"^/[a-z0-9-]+/input$\" \"{docroot}/cgi/input.cgi\"")
        .config(&places)
        .tls_config("SSLVerifyClient optional_no_ca")
}

/// `Authorization: Bearer`
fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// A client with this certificate, or with none, and without Token Binding.
fn unbound(identity: Option<&Identity>, version: SslVersion) -> Connector {
    let connector = connector().offer(Offer::None).tls_version(version);
    let connector = match identity {
        Some(identity) => connector.identity(bound::identity(identity)),
        None => connector,
    };
    connector.build().expect("a connector")
}

/// A connection of such a client.
fn connect(server: &Httpd, identity: Option<&Identity>, version: SslVersion) -> Bound {
    Bound::connect(&unbound(identity, version), server.tls(), "localhost")
}

/// A request as it is, octet by octet, on a connection of its own.
fn send(server: &Httpd, request: impl AsRef<[u8]>) -> Answer {
    let connection =
        unbound(None, SslVersion::TLS1_3).connect(server.tls(), "localhost").expect("a connection");
    Client::new(connection).exchange(request).expect("an answer").into()
}

/// A form that is sent to `path`.
fn post(path: &str, fields: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n{fields}\r\n{form}",
        form.len()
    )
}

/// A request on a connection of its own.
fn get(server: &Httpd, identity: Option<&Identity>, path: &str, fields: &[&str]) -> Answer {
    connect(server, identity, SslVersion::TLS1_3).unbound(path, fields)
}

/// The same with a token in `Authorization: Bearer`.
fn present(server: &Httpd, identity: Option<&Identity>, path: &str, token: &str) -> Answer {
    get(server, identity, path, &[&bearer(token)])
}

/// The challenge of an answer; exactly one where there is one.
fn challenge(answer: &Answer) -> Option<&str> {
    let fields = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("WWW-Authenticate"));
    let values: Vec<&str> = fields.map(|(_, value)| value.as_str()).collect();
    assert!(values.len() < 2, "{answer:?}");
    values.first().copied()
}

/// `Bearer realm="api", error="invalid_token", ...`
fn invalid_token(description: &str) -> String {
    format!("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"{description}\"")
}

const WRONG_CERTIFICATE: &str = "Missing / invalid client X.509 certificate for x5t#S256 bound access token";
const WRONG_BINDING: &str = "Missing / invalid Token Binding for tbh bound access token";
