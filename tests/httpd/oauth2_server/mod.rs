//! `AuthType oauth2` with a real authorization server that issues, rotates, hangs and fails, and with shared caches.

mod caches;
mod end_to_end;
mod hang;
mod keys;
mod redis;
pub mod stores;
mod waiting_room;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokbind::tls::{Connector, Offer};

use crate::common::authorization_server::{AuthorizationServer, Format, Grant, SECRET};
use crate::common::certificates::Identity;
use crate::common::exchange::{Answer, get_plain};
use crate::common::process::{patience, poll};
use crate::common::{Bound, Builder, Httpd, bound, connector, site};

/// The authorization server, with a CA file that httpd's children may read too.
pub fn authorization_server() -> AuthorizationServer {
    let server = AuthorizationServer::start();
    let folder = server.ca_file().parent().and_then(|pki| Some(pki.parent()?.to_owned())).expect("a folder");
    site::set_mode(&folder, 0o755);
    server
}

/// A resource server of this authorization server, with a location for each name and its directives. At `/NAME/env` an
/// application prints its environment; `/hello.txt` is for everybody. In directives, `{jwks}`, `{metadata}` and
/// `{introspect}` stand for `OAuth2TokenVerify` with what it needs; options may follow after `&`.
pub fn resource_server(authorization_server: &AuthorizationServer, places: &[(&str, &str)]) -> Builder {
    let ca = authorization_server.ca_file().display().to_string();
    let credentials = format!(
        "introspect.ca_file={ca}&introspect.auth=client_secret_basic&client_id=resource-server&client_secret={SECRET}"
    );
    let verify = |kind: &str, url: String, options: &str| format!("OAuth2TokenVerify {kind} {url} {options}");
    let builder = Httpd::builder()
        .load(&["authz_user"])
        .value("jwks", verify("jwks_uri", authorization_server.jwks_uri(), &format!("jwks_uri.ca_file={ca}")))
        .value("introspect", verify("introspect", authorization_server.introspection_uri(), &credentials))
        .value(
            "metadata",
            verify(
                "metadata",
                authorization_server.metadata_uri(),
                &format!("metadata.ca_file={ca}&jwks_uri.ca_file={ca}&{credentials}"),
            ),
        )
        .value("ca", ca)
        .value("as", authorization_server.issuer())
        .config("AliasMatch \"^/[a-z0-9-]+/env$\" \"{docroot}/cgi/env.cgi\"")
        .config("AliasMatch \"^/[a-z0-9-]+/hello$\" \"{docroot}/hello.txt\"")
        .tls_config("SSLVerifyClient optional_no_ca");
    places.iter().fold(builder, |builder, (name, lines)| {
        builder.config(&format!(
            "<Location /{name}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TargetPass remote_user_claim=client_id\n{lines}\n</Location>"
        ))
    })
}

/// Waits until the authorization server has been asked for keys so many times: a server is ready before its first child has
/// asked.
pub fn keys_were_fetched(issuer: &AuthorizationServer, times: u64) {
    let fetched = || (issuer.counts().jwks >= times).then_some(());
    poll(patience(10), fetched).expect("keys are fetched before the first request");
    // And until the answer has come.
    thread::sleep(Duration::from_millis(500));
}

/// A grant of tokens that are not bound.
pub fn bearer() -> Grant<'static> {
    Grant { client: "bearer", ..Grant::default() }
}

/// A grant of opaque tokens that are not bound.
pub fn opaque() -> Grant<'static> {
    Grant { format: Format::Opaque, ..bearer() }
}

/// Settings of a client with this certificate, or with none.
fn client(identity: Option<&Identity>) -> Connector {
    let connector = connector().offer(Offer::None);
    let connector = match identity {
        Some(identity) => connector.identity(bound::identity(identity)),
        None => connector,
    };
    connector.build().expect("a connector")
}

/// `Authorization: Bearer`
fn authorization(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// GET with a token, on a connection of its own.
fn present(server: &Httpd, identity: Option<&Identity>, path: &str, token: &str) -> Answer {
    Bound::connect(&client(identity), server.tls(), "localhost").unbound(path, &[&authorization(token)])
}

/// The same without TLS, which costs less and changes nothing for tokens that are not bound.
pub fn present_plainly(server: &Httpd, path: &str, token: &str) -> Answer {
    get_plain(server.plain(), "localhost", path, &[&authorization(token)])
}

/// The status alone.
pub fn status(server: &Httpd, path: &str, token: &str) -> u16 {
    present_plainly(server, path, token).status
}

/// `Bearer realm="api", error="invalid_token", ...`
fn invalid_token(description: &str) -> String {
    format!("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"{description}\"")
}

/// A JWT that names a key nobody has.
pub fn unknown_key(number: usize) -> String {
    let encode = |text: String| token_binding::base64url::encode(text.as_bytes());
    let header = encode(format!("{{\"alg\":\"ES256\",\"kid\":\"unknown-{number}\"}}"));
    let claims = encode("{\"sub\":\"mallory\",\"exp\":4000000000}".to_owned());
    format!("{header}.{claims}.{}", encode("x".repeat(64)))
}

/// Sets a flag when it ends, also by a panic, so that nobody goes on for ever.
struct Until<'f>(&'f AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does something while somebody asks for a page that needs no token, again and again. Of these pages nine in ten must come
/// within half a second, and all within two: that is for a busy machine, which knows nothing of `http_timeout`.
fn with_a_visitor(server: &Httpd, mut work: impl FnMut()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            let mut times = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let start = Instant::now();
                let answer = get_plain(server.plain(), "localhost", "/hello.txt", &[]);
                assert_eq!(answer.status, 200);
                times.push(start.elapsed());
                thread::sleep(Duration::from_millis(20));
            }
            times
        });
        let until_then = Until(&over);
        work();
        drop(until_then);
        let mut times = visitor.join().expect("all pages came");
        times.sort();
        let (usual, longest) = (times[times.len() * 9 / 10], times[times.len() - 1]);
        assert!(
            usual < Duration::from_millis(500) && longest < Duration::from_secs(2),
            "{usual:?} {times:?}"
        );
    });
}
