//! What the documents show about backends, on our ports, with our files.

use std::fs;

use super::application::{Application, documents};
use super::stage::{verifying_node, with_php};
use crate::common::{Bound, Httpd, connector, id, identity, keys, pki};
use crate::configuration::read;
use crate::oauth2_docs::adapt;

/// The configuration that is marked as complete in a part of a document.
fn complete(part: &str) -> String {
    let (_, block) = part.split_once("<!-- complete -->\n```apache\n").expect("a configuration");
    let (block, _) = block.split_once("```").expect("its end");
    block.lines().map(|line| adapt(line) + "\n").collect()
}

#[test]
fn the_guides_host_proxies_to_both_kinds_of_backend() {
    let guide = read("docs/guide.md");
    let (_, part) = guide.split_once("\n## Backends\n").expect("the section");
    let (python, (node, files)) = (Application::python(), verifying_node());
    let configuration = complete(part)
        .replace("app.example.org", "app.test")
        .replace("127.0.0.1:8001", &format!("127.0.0.1:{}", python.port()))
        .replace("backend.example.org:8443", &format!("localhost:{}", node.port()))
        .replace("/etc/ssl/certs/backends-ca.pem", "{pki}/ca.pem")
        .replace("/etc/ssl/private/proxy.pem", &files.path().join("proxy.pem").display().to_string());
    assert!(!configuration.contains("/etc/"), "{configuration}");
    let server = Httpd::builder().load(&["proxy", "proxy_http"]).config(&configuration).start();
    let connector = connector().insecure().identity(identity(&pki().client_a)).build().unwrap();
    for path in ["/login", "/verifying/login"] {
        let mut client = Bound::connect(&connector, server.tls(), "app.test");
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: app.test\r\nSec-Token-Binding: {}\r\nContent-Length: 10\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\nuser=alice",
            client.message()
        );
        let answer = client.exchange(&request).unwrap();
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert!(answer.body.contains(&id(&keys().a)) && answer.body.contains("certificate"), "{answer:?}");
    }
}

#[test]
fn php_runs_as_its_readme_says() {
    let readme = fs::read_to_string(documents("README.md")).unwrap();
    let php = Application::php();
    let configuration = complete(&readme)
        .replace("/srv/php", "{docroot}/php")
        .replace("127.0.0.1:9000", &format!("127.0.0.1:{}", php.port()));
    let server = with_php(Httpd::builder())
        .load(&["proxy", "proxy_fcgi"])
        .config(&configuration)
        .tls_config("DocumentRoot {docroot}/php")
        .start();
    let answer = Bound::open(&server).get("/", &[]);
    assert_eq!((answer.status, answer.body.as_str()), (401, "{\"error\":\"not logged in\"}"));
}
