//! What every row plays on: one server with all its hosts, one backend, one independent client and its keys.

use std::collections::BTreeMap;

use openssl::base64::encode_block;
use openssl::hash::MessageDigest;
use serde_json::{Value, json};

use crate::common::exchange::Answer;
use crate::common::independent::{Handshake, Session};
use crate::common::{Backend, Httpd, Independent, Vhost, pki};

/// What a hostile client puts into headers that only the server may set; it must not turn up anywhere.
pub const SPOOF: &str = "SPOOF";

/// Version 1.0 and all key parameters (RFC 8472 §2).
const OFFER: &str = "010003020100";

pub struct Stage {
    pub server: Httpd,
    /// Held for as long as the server may ask it.
    _backend: Backend,
    pub client: Independent,
    /// Token Binding ID in base64url to the name of its key, and the ID's `tbh`.
    keys: BTreeMap<String, (&'static str, String)>,
    /// Every Sec-Token-Binding value that was made.
    pub messages: Vec<String>,
    /// How many requests were answered 400.
    pub refused: usize,
    connections: usize,
}

impl Stage {
    pub fn set() -> Self {
        let backend = Backend::http();
        let server = server(&backend);
        let mut client = Independent::start();
        let mut keys = BTreeMap::new();
        for (name, parameters) in [
            ("alice", "ecdsap256"),
            ("mallory", "ecdsap256"),
            ("pss", "rsa2048_pss"),
            ("pkcs", "rsa2048_pkcs1.5"),
        ] {
            let names = client.key(name, parameters);
            keys.insert(names.id, (name, names.tbh));
        }
        Self { server, _backend: backend, client, keys, messages: Vec::new(), refused: 0, connections: 0 }
    }

    /// A handshake with `localhost`, TLS 1.2, everything offered, unless `options` say otherwise. The connection's name,
    /// and what became of it.
    pub fn handshake(&mut self, options: Value) -> (String, Handshake) {
        self.connections += 1;
        let name = format!("connection {}", self.connections);
        let mut all = json!({"offer": OFFER});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        (name.clone(), self.client.connect(&name, self.server.tls(), &all))
    }

    pub fn session(&mut self, options: Value) -> (String, Session) {
        let (name, handshake) = self.handshake(options);
        (name, handshake.done())
    }

    pub fn connect(&mut self, options: Value) -> String {
        self.session(options).0
    }

    /// The value of Sec-Token-Binding for these bindings on this connection.
    pub fn value(&mut self, connection: &str, bindings: Value) -> String {
        self.faulty_value(connection, bindings, json!({}))
    }

    pub fn faulty_value(&mut self, connection: &str, bindings: Value, faults: Value) -> String {
        let value = self.client.faulty_message(connection, &bindings, &faults);
        self.messages.push(value.clone());
        value
    }

    /// The value of alice's provided binding alone.
    pub fn alice(&mut self, connection: &str) -> String {
        self.value(connection, json!([{"key": "alice"}]))
    }

    /// GET with this Sec-Token-Binding.
    pub fn request(&mut self, connection: &str, path: &str, value: &str) -> Answer {
        self.get(connection, path, &[&format!("Sec-Token-Binding: {value}")])
    }

    pub fn get(&mut self, connection: &str, path: &str, fields: &[&str]) -> Answer {
        let answer = self.client.get(connection, path, fields);
        self.note(&answer);
        answer
    }

    pub fn note(&mut self, answer: &Answer) {
        self.refused += usize::from(answer.status == 400);
    }

    /// What the application saw of a request with this Sec-Token-Binding.
    pub fn send(&mut self, connection: &str, value: &str) -> String {
        let answer = self.request(connection, "/cgi/env.cgi", value);
        self.outcome(&answer)
    }

    /// What the application saw of a request with these fields.
    pub fn fields(&mut self, connection: &str, fields: &[&str]) -> String {
        let answer = self.get(connection, "/cgi/env.cgi", fields);
        self.outcome(&answer)
    }

    /// One connection, one request with these bindings.
    pub fn once(&mut self, options: Value, bindings: Value) -> String {
        self.once_faulty(options, bindings, json!({}))
    }

    pub fn once_faulty(&mut self, options: Value, bindings: Value, faults: Value) -> String {
        let connection = self.connect(options);
        let value = self.faulty_value(&connection, bindings, faults);
        self.send(&connection, &value)
    }

    /// A response of env.cgi in words: status, Token-Binding-Status, whose IDs, and all that should not be there.
    pub fn outcome(&self, answer: &Answer) -> String {
        let mut words = vec![answer.status.to_string()];
        if let Some(status) = answer.variable("Token_Binding_Status") {
            words.push(status.to_owned());
        }
        for (word, variable) in [
            ("provided", "Sec_Provided_Token_Binding_ID"),
            ("referred", "Sec_Referred_Token_Binding_ID"),
            ("other", "Sec_Other_Token_Binding_ID"),
        ] {
            let header = format!("HTTP_{}", variable.to_ascii_uppercase());
            if let Some(ids) = answer.variable(variable) {
                words.push(format!("{word}={}", self.owners(ids)));
            }
            if answer.variable(variable) != answer.variable(&header) {
                words.push(format!("{header} differs"));
            }
        }
        if let Some(print) = answer.variable("TB_SSL_CLIENT_CERT_FINGERPRINT") {
            words.push(format!("certificate={}", certificate_owner(print)));
        }
        words.extend(self.anomalies(answer));
        words.join(" ")
    }

    fn anomalies(&self, answer: &Answer) -> Vec<String> {
        let mut words = Vec::new();
        let tbh = answer.variable("Sec_Provided_Token_Binding_ID").and_then(|id| self.keys.get(id));
        if answer.variable("Token_Binding_Hash") != tbh.map(|(_, tbh)| tbh.as_str()) {
            words.push("wrong tbh".to_owned());
        }
        if answer.variable("HTTP_SEC_TOKEN_BINDING").is_some() {
            words.push("message visible".to_owned());
        }
        for line in answer.body.lines().filter(|line| line.contains(SPOOF)) {
            words.push(format!("spoofed {line}"));
        }
        words
    }

    /// `ID` or `type.ID,type.ID` with the names of the keys instead.
    fn owners(&self, ids: &str) -> String {
        let owner =
            |id: &str| self.keys.get(id).map_or_else(|| format!("?{id}"), |(name, _)| (*name).to_owned());
        let one = |one: &str| match one.split_once('.') {
            Some((kind, id)) => format!("{kind}.{}", owner(id)),
            None => owner(one),
        };
        ids.split(',').map(one).collect::<Vec<_>>().join(",")
    }

    /// The header of a request that reached the backend, in words.
    pub fn backend_outcome(&self, answer: &Answer) -> String {
        let mut words = vec![answer.status.to_string()];
        for line in answer.body.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "sec-provided-token-binding-id" => words.push(format!("provided={}", self.owners(value))),
                "sec-referred-token-binding-id" => words.push(format!("referred={}", self.owners(value))),
                "sec-other-token-binding-id" => words.push(format!("other={}", self.owners(value))),
                "sec-token-binding" => words.push("message".to_owned()),
                "token-binding-context" | "sec-token-binding-context" => words.push("context".to_owned()),
                _ if line.contains(SPOOF) => words.push(format!("spoofed {line}")),
                _ => {}
            }
        }
        words.join(" ")
    }

    /// A text with `real` for every ID that belongs to a key.
    pub fn with_names(&self, text: &str) -> String {
        self.keys.keys().fold(text.to_owned(), |text, id| text.replace(id, "real"))
    }

    /// Options for the certificate of this name.
    pub fn certificate(&self, name: &str) -> Value {
        let path = |suffix: &str| self.server.pki(&format!("{name}.{suffix}")).display().to_string();
        json!({"certificate": path("pem"), "private_key": path("key")})
    }
}

/// Whose certificate has this `x5t#S256` (RFC 8705 §3.1).
fn certificate_owner(print: &str) -> String {
    let owners = [("a", &pki().client_a), ("b", &pki().client_b), ("self-signed", &pki().self_signed)];
    let found = owners.into_iter().find(|(_, identity)| {
        base64url(&identity.certificate.digest(MessageDigest::sha256()).expect("a digest")) == print
    });
    found.map_or_else(|| format!("?{print}"), |(name, _)| name.to_owned())
}

pub fn base64url(octets: &[u8]) -> String {
    encode_block(octets).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn server(backend: &Backend) -> Httpd {
    Httpd::builder()
        .load(&["headers", "setenvif", "rewrite", "include", "proxy", "proxy_http", "http2"])
        .value("backend", backend.port())
        .config(CONFIGURATION)
        .file("rewritten/here.txt", "never seen\n")
        .file("index/env.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n")
        .file("none/env.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n")
        .file(
            "authenticated/env.cgi",
            "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n",
        )
        .file("private/provided.txt", "secret\n")
        .file("private/referred.txt", "secret\n")
        .vhost(Vhost::tls("allow.test").config("TokenBindingMissing Allow"))
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .vhost(Vhost::tls("rsa.test").config("TokenBindingKeyParameters rsa2048_pss rsa2048_pkcs1.5"))
        .vhost(Vhost::tls("certificate.test").config("SSLVerifyClient optional_no_ca"))
        .vhost(Vhost::tls("explains.test").config("ErrorDocument 400 /cgi/env.cgi"))
        .expect_log("AH01630*private/provided.txt")
        .expect_log("AH01630*private/referred.txt")
        .start()
}

const CONFIGURATION: &str = r#"Protocols h2 http/1.1
MergeTrailers On
LogFormat "%U saw=%{Sec-Provided-Token-Binding-ID}i message=%{Sec-Token-Binding}i" headers
CustomLog {root}/headers.log headers
SetEnvIf Sec-Provided-Token-Binding-ID (.+) SAW=$1
ErrorDocument 404 /cgi/env.cgi
<Directory "{docroot}/rewritten">
  RewriteEngine On
  RewriteRule ^go$ /cgi/env.cgi [L]
</Directory>
<Directory "{docroot}/index">
  DirectoryIndex env.cgi
</Directory>
<Directory "{docroot}/none">
  TokenBindingPassVar none
</Directory>
<Directory "{docroot}/authenticated">
  SSLVerifyClient require
</Directory>
<Files provided.txt>
  Require token-binding
</Files>
<Files referred.txt>
  Require token-binding referred
</Files>
Redirect 302 /login https://provider.test/authorize
<Location /login>
  TokenBindingIncludeReferred On
</Location>
<Location /backend>
  ProxyPass http://127.0.0.1:{backend}
</Location>
<Location /backend/none>
  TokenBindingPassVar none
</Location>
<Location /backend/context>
  TokenBindingPassVar provided context
</Location>
"#;
