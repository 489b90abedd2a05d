//! `tokbind get` against a server in this process.

use crate::command::{Run, tokbind};
use crate::server::{Answer, Server, Settings, self_signed};
use crate::tls::hello_without_renegotiation_info;
use openssl::ssl::SslVersion;
use std::path::Path;
use token_binding::KeyParameters::{EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
use token_binding::{KeyPair, Preference, Rejection};

/// A server and a folder with the files that the command is given.
pub struct Site {
    pub server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    pub fn new(settings: Settings) -> Self {
        let server = Server::start(settings);
        let folder = tempfile::tempdir().unwrap();
        let site = Self { server, folder };
        site.write("ca.pem", &site.server.certificate.to_pem().unwrap());
        site
    }

    fn write(&self, name: &str, octets: &[u8]) {
        std::fs::write(self.folder.path().join(name), octets).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// `tokbind get` with these arguments. `@name` is a file of the site.
    fn get(&self, arguments: &[&str]) -> Run {
        self.run("get", arguments)
    }

    /// Another command that requests.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Run {
        let mut all = vec![command.to_owned(), "--cacert".into(), self.path("ca.pem")];
        all.extend(["--connect".into(), self.server.address.to_string()]);
        all.extend(arguments.iter().map(|argument| match argument.split_once("{") {
            Some((before, name)) => format!("{before}{}", self.path(name.trim_end_matches('}'))),
            None => (*argument).to_owned(),
        }));
        all.push("https://localhost/path?query".into());
        tokbind(&all)
    }

    fn key(&self, name: &str, key: &KeyPair) {
        self.write(name, &key.to_private_key_pem().unwrap());
        assert!(Path::new(&self.path(name)).exists());
    }
}

pub fn refusing(status: &str) -> Settings {
    Settings {
        response: format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nno\n").into_bytes(),
        ..Settings::default()
    }
}

#[test]
fn a_request_carries_a_message_that_the_server_verifies() {
    for (http2, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        let site = Site::new(Settings { http2, ..Settings::default() });
        for tls in ["--tls1.2", "--tls1.3"] {
            let run = site.get(&[tls, "--repeat", "2", "-v", "--include"]);
            assert_eq!(run.code, 0, "{run:?}");
            assert_eq!(run.stdout.matches("hello\n").count(), 2, "{run:?}");
            assert_eq!(run.stdout.matches(&format!("{version} 200 OK\r\n")).count(), 2, "{run:?}");
            assert!(run.stdout.to_ascii_lowercase().contains("content-length: 6\r\n"));
            let tls_version = tls.replace("--tls", "TLSv");
            for word in
                [&*tls_version, "full handshake", "CN=localhost", "x5t#S256", "version 1.0, ecdsap256"]
            {
                assert!(run.stderr.contains(word), "{word}: {run:?}");
            }
            // Not anywhere: an ID may hold these letters too.
            let alpn = run.stderr.lines().find(|line| line.contains("ALPN:"));
            assert_eq!(alpn.map(|line| line.ends_with("h2")), Some(http2), "{run:?}");
            let seen = site.server.seen();
            assert_eq!(seen.len(), 2);
            for seen in seen {
                let provided = seen.verdict.unwrap().unwrap().provided;
                assert!(run.stderr.contains(&provided.to_base64url()), "{run:?}");
                assert!(run.stderr.contains(&provided.hash().to_base64url()));
                assert!(seen.head.contains("/path?query") && seen.head.contains(version), "{}", seen.head);
            }
        }
    }
}

#[test]
fn keys_decide_what_is_offered() {
    let site = Site::new(Settings::default());
    let keys = [EcdsaP256, Rsa2048Pss].map(|each| KeyPair::generate(each).unwrap());
    let [ec, rsa] = &keys;
    site.key("ec", ec);
    site.key("rsa", rsa);
    for (arguments, id) in [
        (&["--key", "{ec}"][..], ec.id()),
        (&["--token-binding-key", "{ec}", "--referred={rsa}"], ec.id()),
        (&["--key", "{rsa}"], rsa.id()),
        (&["--key", "{rsa}", "--key-parameters", "rsa2048_pkcs1.5"], [&[0], &rsa.id()[1..]].concat()),
    ] {
        assert_eq!(site.get(arguments).code, 0);
        let verified = site.server.seen().remove(0).verdict.unwrap().unwrap();
        assert_eq!(verified.provided.as_id().as_bytes(), id);
        let referred = verified.referred.map(|referred| referred.as_id().as_bytes().to_vec());
        assert_eq!(referred, arguments.get(2).filter(|word| word.contains("referred")).map(|_| rsa.id()));
    }
    assert_eq!(site.get(&["--referred"]).code, 0);
    assert!(site.server.seen().remove(0).verdict.unwrap().unwrap().referred.is_some());
    let unfit = site.get(&["--key", "{ec}", "--key-parameters", "ecdsap256,rsa2048_pss"]);
    assert!(unfit.code == 2 && unfit.stderr.contains("does not fit"), "{unfit:?}");
    // Only what was asked for is offered.
    let answer = Answer::Negotiate(Preference::new(&[Rsa2048Pkcs1_5]).unwrap());
    let site = Site::new(Settings { answer, ..Settings::default() });
    let run = site.get(&["-v", "--key-parameters", "ecdsap256,rsa2048_pss"]);
    assert!(run.code == 0 && run.stderr.contains("not negotiated"), "{run:?}");
    assert!(site.server.seen().remove(0).verdict.is_none());
}

#[test]
fn json_says_it_all() {
    let site = Site::new(Settings::default());
    let run = site.get(&["--json", "--http1.1", "--tls1.2", "--print-message", "--resume"]);
    let document = run.json();
    let connections = document["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 2);
    let [first, second] = connections.as_slice() else { panic!("{document}") };
    let members = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(first),
        ["alpn", "responses", "resumed", "server_certificate", "tls", "token_binding"]
    );
    assert_eq!((&first["resumed"], &second["resumed"]), (&false.into(), &true.into()));
    assert_eq!(first["tls"], "TLSv1.2");
    assert_eq!(first["alpn"], serde_json::Value::Null);
    assert_eq!(
        first["token_binding"],
        serde_json::json!({ "version": "1.0", "key_parameters": "ecdsap256" })
    );
    assert_eq!(first["server_certificate"]["x5t#S256"].as_str().unwrap().len(), 43);
    let response = &first["responses"][0];
    assert_eq!(
        members(response),
        ["body", "headers", "provided", "referred", "sec_token_binding", "status", "version"]
    );
    assert_eq!(response["status"], 200);
    assert_eq!(response["body"], "hello\n");
    assert_eq!(response["version"], "HTTP/1.1");
    assert_eq!(response["headers"], serde_json::json!([["content-length", "6"]]));
    assert_eq!(members(&response["provided"]), ["id", "tbh"]);
    assert_eq!(response["referred"], serde_json::Value::Null);
    let message = response["sec_token_binding"].as_str().unwrap();
    assert!(run.stderr.contains(message));
    let again = &second["responses"][0];
    assert_eq!(again["provided"], response["provided"], "the same key");
    assert_ne!(again["sec_token_binding"], response["sec_token_binding"], "another connection");
    // Octets that are no text, and no message unless asked for.
    let binary = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\x01".to_vec();
    let site = Site::new(Settings { response: binary, ..Settings::default() });
    let document = site.get(&["--json"]).json();
    let response = &document["connections"][0]["responses"][0];
    assert_eq!(members(response), ["body_base64url", "headers", "provided", "referred", "status", "version"]);
    assert_eq!(response["body_base64url"], "_wE");
}

#[test]
fn a_captured_value_can_be_replayed_and_is_refused() {
    let site = Site::new(Settings::default());
    let captured = site.get(&["--json", "--print-message"]).json();
    let value = captured["connections"][0]["responses"][0]["sec_token_binding"].as_str().unwrap().to_owned();
    assert!(site.server.seen().remove(0).verdict.unwrap().is_ok());
    let replayed = site.get(&["-v", "--replay", &value]);
    assert_eq!(replayed.code, 0, "{replayed:?}"); // this server refuses no one; what it found matters
    assert_eq!(site.server.seen().remove(0).verdict, Some(Err(Rejection::InvalidSignature)));
    site.get(&["--replay", "-AAA", "--no-token-binding"]);
    assert!(site.server.seen().remove(0).head.contains("sec-token-binding: -AAA\r\n"));
}

#[test]
fn a_refusal_is_1_with_its_reason() {
    let site = Site::new(refusing("400 Bad Request"));
    let run = site.get(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "no\n"));
    assert!(run.stderr.contains("400 Bad Request"), "{run:?}");
    let challenge = "401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"";
    let site = Site::new(refusing(challenge));
    let run = site.get(&["--json"]);
    assert_eq!((run.code, &run.json()["connections"][0]["responses"][0]["status"]), (1, &401.into()));
    assert!(run.stderr.contains("Bearer error=\"invalid_token\""), "{run:?}");
    // U+009B begins a control sequence on some terminals.
    let run = Site::new(refusing("401 x\r\nWWW-Authenticate: a\u{9b}31mb")).get(&[]);
    assert!(run.stderr.contains("a\\u{9b}31mb"), "{run:?}");
    assert_eq!(Site::new(refusing("302 Found")).get(&[]).code, 0);
    assert_eq!(Site::new(refusing("503 Service Unavailable")).get(&[]).code, 1);
}

#[test]
fn no_connection_is_1_and_says_what_to_do() {
    let site =
        Site::new(Settings { versions: (SslVersion::TLS1_2, SslVersion::TLS1_2), ..Settings::default() });
    let address = site.server.address.to_string();
    let distrust = tokbind(&["get", "--connect", &address, "https://localhost/"]);
    assert!(distrust.code == 1 && distrust.stderr.contains("--cacert FILE"), "{distrust:?}");
    let trust = tokbind(&["get", "-k", "--connect", &address, "https://elsewhere.test/"]);
    assert_eq!((trust.code, trust.stdout.as_str()), (0, "hello\n"));
    let run = site.get(&["--tls1.3"]);
    assert!(run.code == 1 && run.stderr.contains("handshake"), "{run:?}");
    let run = site.get(&["--http2"]);
    assert!(run.code == 1 && run.stderr.contains("HTTP/2"), "{run:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silence = tokbind(&["get", "--timeout", "1", "--connect", &address, "https://localhost/"]);
    assert!(silence.code == 1 && silence.stderr.contains("within 1 s"), "{silence:?}");
    drop(listener);
    let nobody = tokbind(&["get", "--connect", &address, "https://localhost/"]);
    assert!(nobody.code == 1 && nobody.stderr.contains("refused"), "{nobody:?}");
    // A server that breaks RFC 8472 §4.
    let site = Site::new(Settings { answer: Answer::Octets(vec![1, 0, 1, 7]), ..Settings::default() });
    let run = site.get(&[]);
    assert!(run.code == 1 && run.stderr.contains("were not offered"), "{run:?}");
    assert_eq!(site.get(&["--no-token-binding"]).code, 0);
}

/// A system that is configured to talk to old servers does not make this client do it.
#[test]
fn openssl_cnf_does_not_weaken_it() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("openssl.cnf");
    std::fs::write(
        &configuration,
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nOptions = UnsafeLegacyServerConnect\n",
    )
    .unwrap();
    let (address, server) = hello_without_renegotiation_info();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tokbind"))
        .args(["get", "-k", "--tls1.2", "--connect", &address.to_string(), "https://localhost/"])
        .env("OPENSSL_CONF", &configuration)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("unsafe legacy renegotiation disabled"), "{stderr}");
    server.join().unwrap();
}

#[test]
fn method_fields_and_body_are_as_told() {
    let site = Site::new(Settings::default());
    let run = site.get(&["--http1.1", "-H", "X-One: 1", "-H", "x-one:2", "--bearer", "-t", "-X", "PUT"]);
    assert_eq!(run.code, 0, "{run:?}");
    let head = site.server.seen().remove(0).head;
    assert!(head.starts_with("PUT /path?query HTTP/1.1\r\n"), "{head}");
    for line in ["x-one: 1\r\n", "x-one: 2\r\n", "authorization: Bearer -t\r\n", "host: localhost\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    site.write("body", b"a=b");
    for (data, length) in [("x=1&y=2", 7), ("@{body}", 3)] {
        site.get(&["-d", data]);
        let head = site.server.seen().remove(0).head;
        assert!(head.starts_with("POST "), "{head}");
        assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
        assert!(head.contains("application/x-www-form-urlencoded"), "{head}");
    }
    site.get(&["-H", "Host: other.test"]);
    assert!(site.server.seen().remove(0).head.contains("host: other.test\r\n"));
}

#[test]
fn a_certificate_comes_from_one_file_or_two() {
    let site = Site::new(Settings { ask_certificate: true, ..Settings::default() });
    let (certificate, key) = self_signed("client");
    let (certificate, key) = (certificate.to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap());
    site.write("cert", &certificate);
    site.write("key", &key);
    site.write("both", &[key, certificate].concat());
    for arguments in [&["-v", "--cert", "{both}"][..], &["-v", "--cert", "{cert}", "--cert-key", "{key}"]] {
        let run = site.get(arguments);
        assert!(run.code == 0 && run.stderr.contains("CN=client"), "{run:?}");
    }
    let alone = site.get(&["--cert", "{cert}"]);
    assert!(alone.code == 2 && alone.stderr.contains("private key"), "{alone:?}");
}
