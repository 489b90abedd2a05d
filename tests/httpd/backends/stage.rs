//! One httpd with TLS in front of every reference backend, and its visitors.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tokbind::tls::Offer;
use token_binding::KeyPair;

use super::application::{self, Application, documents};
use crate::common::certificates::Identity;
use crate::common::exchange::Answer;
use crate::common::{Bound, Builder, Httpd, Vhost, connector, identity, pki};

/// Every way that a reference backend is run, as the name of a host.
pub const HOSTS: [&str; 6] =
    ["python.test", "node.test", "verifying.test", "php.test", "fastcgi.test", "cgi.test"];

/// Documents below `php/`, run by whatever the handler of `.php` is.
pub const PHP_HOST: &str =
    "DocumentRoot {docroot}/php\nDirectoryIndex index.php\nFallbackResource /index.php\n";
/// php-cgi wants a plain file name, which httpd gives to backends that are not PHP-FPM.
pub const FASTCGI: &str = "ProxyFCGIBackendType GENERIC\n<FilesMatch \"\\.php$\">\n\
                       SetHandler \"proxy:fcgi://127.0.0.1:{php}\"\n</FilesMatch>\n";
pub const CGI: &str =
    "AddHandler php .php\nAction php /cgi/php.cgi\nAlias /cgi/php.cgi {docroot}/cgi/php.cgi\n";

/// The front, what is behind it, and what they keep on disk.
pub struct Stage {
    pub front: Httpd,
    _behind: Vec<Application>,
    _php_server: Httpd,
    _sessions: TempDir,
}

impl Stage {
    pub fn set() -> Self {
        let (python, node, php) = (Application::python(), Application::node(&[]), Application::php());
        let (verifying, files) = verifying_node();
        let php_server = php_server(php.port());
        let (php_cgi, sessions) = application::php_cgi();
        let http = |port: u16| {
            format!("ClientCertForward Cert\nProxyPass / http://127.0.0.1:{port}/ disablereuse=On")
        };
        let front = with_php(Httpd::builder())
            .load(&["proxy", "proxy_http", "proxy_fcgi", "actions", "http2"])
            .config("Protocols h2 http/1.1")
            .file("cgi/php.cgi", &php_cgi)
            .value("php", php.port())
            .plain_config(&http(python.port()))
            .vhost(host("python.test", &http(python.port())))
            .vhost(host("node.test", &http(node.port())))
            .vhost(host("verifying.test", &verifying_host(verifying.port(), &files)))
            .vhost(host("php.test", &http(php_server.plain().port())))
            .vhost(host("fastcgi.test", &format!("{PHP_HOST}{FASTCGI}")))
            .vhost(host("cgi.test", &format!("{PHP_HOST}{CGI}")))
            .start();
        let behind = vec![python, node, verifying, php];
        Self { front, _behind: behind, _php_server: php_server, _sessions: sessions }
    }

    /// Somebody without a key and without a certificate.
    pub fn nobody(&self) -> Visitor<'_> {
        Visitor { stage: self, key: None, certificate: None }
    }

    pub fn with_key(&self, key: &'static KeyPair) -> Visitor<'_> {
        Visitor { key: Some(key), ..self.nobody() }
    }
}

fn host(name: &str, lines: &str) -> Vhost {
    Vhost::tls(name).config("SSLVerifyClient optional_no_ca").config(lines)
}

/// A server without our module that runs PHP and trusts what the front says.
pub fn php_server(fastcgi_port: u16) -> Httpd {
    with_php(Httpd::builder())
        .without_module()
        .load(&["proxy", "proxy_fcgi"])
        .value("php", fastcgi_port)
        .plain_config(&format!("{PHP_HOST}{FASTCGI}"))
        .start()
}

/// The reference backend in PHP, and `/dump.php`, which answers with all that PHP knows of the request.
pub fn with_php(builder: Builder) -> Builder {
    let builder = builder.file("php/dump.php", "<?php echo json_encode($_SERVER);");
    ["index.php", "bound_session.php"].into_iter().fold(builder, |builder, name| {
        let script = fs::read_to_string(documents(&format!("php/{name}"))).expect("a reference backend");
        builder.file(&format!("php/{name}"), &script)
    })
}

/// The backend that gets keying material: https, and only for the proxy, which has a certificate for this.
pub fn verifying_node() -> (Application, TempDir) {
    let files = tempfile::tempdir().expect("a folder");
    pki().write_to(files.path());
    let file = |name: &str| files.path().join(name).display().to_string();
    let backend = Application::node(&[
        "--verify",
        "--certificate",
        &file("server.pem"),
        "--key",
        &file("server.key"),
        "--proxy",
        &file("self_signed.pem"),
    ]);
    // mod_ssl wants certificate and key in one file, the key in OpenSSL's older form.
    let proxy = &pki().self_signed;
    let key = proxy.key.ec_key().and_then(|key| key.private_key_to_pem()).expect("a key");
    fs::write(file("proxy.pem"), [proxy.certificate_pem(), key].concat()).expect("our own file");
    (backend, files)
}

pub fn verifying_host(port: u16, files: &TempDir) -> String {
    format!(
        "SSLProxyEngine On\nSSLProxyVerify require\nSSLProxyCACertificateFile {{pki}}/ca.pem\n\
         SSLProxyMachineCertificateFile {}/proxy.pem\nClientCertForward Cert\nTokenBindingPassVar context\n\
         ProxyPass / https://localhost:{port}/ disablereuse=On",
        files.path().display()
    )
}

/// A client; each of its requests has a connection of its own.
#[derive(Clone, Copy)]
pub struct Visitor<'s> {
    stage: &'s Stage,
    /// With none, the client does not know Token Binding.
    key: Option<&'static KeyPair>,
    certificate: Option<&'static Identity>,
}

impl Visitor<'_> {
    pub fn and_certificate(self, certificate: &'static Identity) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// A connection of its own.
    pub fn open(&self, host: &str) -> Bound {
        let mut settings = connector().insecure();
        if self.key.is_none() {
            settings = settings.offer(Offer::None);
        }
        if let Some(certificate) = self.certificate {
            settings = settings.identity(identity(certificate));
        }
        let bound = Bound::connect(&settings.build().expect("a connector"), self.stage.front.tls(), host);
        match self.key {
            Some(key) => bound.with_key(key),
            None => bound,
        }
    }

    /// A request; `fields` are whole lines without line ends.
    pub fn ask(&self, host: &str, request: &str, fields: &[&str], body: &str) -> Answer {
        let mut client = self.open(host);
        let message = self.key.map(|_| format!("Sec-Token-Binding: {}\r\n", client.message()));
        let mut head = format!("{request} HTTP/1.1\r\nHost: {host}\r\n{}", message.unwrap_or_default());
        fields.iter().for_each(|field| head += &format!("{field}\r\n"));
        if !body.is_empty() {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        client.exchange(&format!("{head}\r\n{body}")).unwrap_or_else(|error| panic!("{host}: {error}"))
    }

    /// The new session as a Cookie field, and what it is bound to.
    pub fn log_in(&self, host: &str) -> (String, Value) {
        let answer = self.ask(host, "POST /login", &[], "user=alice");
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
        let cookie = answer.header("Set-Cookie").and_then(|cookie| cookie.split(';').next());
        let session: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(session["user"], "alice", "{host}");
        (format!("Cookie: {}", cookie.expect("a session")), session["bound_to"].clone())
    }

    /// The status of the page for who is logged in.
    pub fn visit(&self, host: &str, cookie: &str) -> u16 {
        self.visit_claiming(host, cookie, &[])
    }

    /// The same with more fields.
    pub fn visit_claiming(&self, host: &str, cookie: &str, fields: &[&str]) -> u16 {
        let answer = self.ask(host, "GET /", &[&[cookie], fields].concat(), "");
        if answer.status == 200 {
            assert!(answer.body.contains("alice"), "{host}: {answer:?}");
        } else {
            assert!(!answer.body.contains("alice"), "{host}: {answer:?}");
        }
        answer.status
    }
}
