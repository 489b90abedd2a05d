//! The independent client (tests/independent): Python, tlslite-ng, its own Token Binding code. One process per test.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::exchange::Answer;

/// A running client. Its keys and connections have names; tests/independent/client.py describes the commands.
pub struct Independent {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The public side of a key.
#[derive(Clone, Debug)]
pub struct KeyNames {
    /// base64url of the Token Binding ID.
    pub id: String,
    /// base64url of its SHA-256.
    pub tbh: String,
}

/// What became of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    Done(Session),
    /// An alert, by its name in the RFC, and who sent it (`server` or `client`); without a name: the connection broke.
    Refused {
        alert: Option<String>,
        by: String,
        detail: String,
    },
}

/// A finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub resumed: bool,
    pub extended_master_secret: bool,
    /// The data of extension 24 in hex, and the message it came in: `ServerHello` or `EncryptedExtensions`.
    pub token_binding: Option<(String, String)>,
    /// The server accepted early data (RFC 8446 §4.2.10).
    pub early_data: bool,
    /// The exporter's 32 octets in hex.
    pub ekm: String,
}

impl Handshake {
    pub fn done(self) -> Session {
        match self {
            Self::Done(session) => session,
            Self::Refused { .. } => panic!("the handshake failed: {self:?}"),
        }
    }

    /// The alert that the server sent.
    pub fn server_alert(&self) -> Option<&str> {
        match self {
            Self::Refused { alert, by, .. } if by == "server" => alert.as_deref(),
            _ => None,
        }
    }
}

impl Independent {
    pub fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-u", "-B"])
            .arg(folder().join("client.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, commands, answers }
    }

    /// Makes a key; `parameters` as in RFC 8471 §3.1: `ecdsap256`, `rsa2048_pss`, `rsa2048_pkcs1.5`.
    pub fn key(&mut self, name: &str, parameters: &str) -> KeyNames {
        let answer = self.run(&json!({"do": "key", "name": name, "parameters": parameters}));
        KeyNames { id: text(&answer["id"]), tbh: text(&answer["tbh"]) }
    }

    /// Connects to `address`; `options` as in client.py's `connect`.
    pub fn connect(&mut self, name: &str, address: SocketAddr, options: &Value) -> Handshake {
        let mut command = json!({"do": "connect", "name": name, "port": address.port()});
        merge(&mut command, options);
        let answer = self.run(&command);
        if answer.get("alert_by").is_some() {
            return Handshake::Refused {
                alert: answer["alert"].as_str().map(str::to_owned),
                by: text(&answer["alert_by"]),
                detail: text(&answer["detail"]),
            };
        }
        let reply = |data: &str| (data.to_owned(), text(&answer["token_binding_in"]));
        Handshake::Done(Session {
            resumed: answer["resumed"] == true,
            extended_master_secret: answer["extended_master_secret"] == true,
            token_binding: answer["token_binding"].as_str().map(reply),
            early_data: answer["early_data"] == true,
            ekm: text(&answer["ekm"]),
        })
    }

    /// A Sec-Token-Binding value of these bindings for `connection`.
    pub fn message(&mut self, connection: &str, bindings: &Value) -> String {
        self.faulty_message(connection, bindings, &json!({}))
    }

    /// The same with faults of the whole message, as in token_binding.py's `field_value`.
    pub fn faulty_message(&mut self, connection: &str, bindings: &Value, faults: &Value) -> String {
        let mut command = json!({"do": "message", "connection": connection, "bindings": bindings});
        merge(&mut command, faults);
        text(&self.run(&command)["value"])
    }

    /// Sends a request's head and reads the response.
    pub fn exchange(&mut self, connection: &str, head: &str) -> Answer {
        answer(&self.run(&json!({"do": "exchange", "connection": connection, "head": head})))
    }

    /// Sends all requests at once on an HTTP/2 connection (`"alpn": "h2"`), as in http2.py.
    pub fn streams(&mut self, connection: &str, requests: &Value) -> Vec<Answer> {
        self.streams_of("localhost", connection, requests)
    }

    /// The same for another host.
    pub fn streams_of(&mut self, authority: &str, connection: &str, requests: &Value) -> Vec<Answer> {
        let answers = self.run(
            &json!({"do": "streams", "connection": connection, "authority": authority, "requests": requests}),
        );
        answers["answers"].as_array().expect("one for each request").iter().map(answer).collect()
    }

    /// GET on a kept connection; `fields` are whole lines without line ends.
    pub fn get(&mut self, connection: &str, path: &str, fields: &[&str]) -> Answer {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        self.exchange(connection, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"))
    }

    pub fn close(&mut self, connection: &str) {
        self.run(&json!({"do": "close", "connection": connection}));
    }

    fn run(&mut self, command: &Value) -> Value {
        let commands = self.commands.as_mut().expect("it runs until dropped");
        writeln!(commands, "{command}").expect("the client reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the client answers");
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?} to {command}"));
        assert!(answer.get("error").is_none(), "the independent client failed at {command}: {answer}");
        answer
    }
}

impl Drop for Independent {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}

fn answer(value: &Value) -> Answer {
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let header = |pair: &Value| (text(&pair[0]), text(&pair[1]));
    Answer {
        status: status.unwrap_or_else(|| panic!("no response: {value}")),
        headers: value["headers"].as_array().into_iter().flatten().map(header).collect(),
        body: text(&value["body"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn merge(command: &mut Value, options: &Value) {
    let (Some(command), Some(options)) = (command.as_object_mut(), options.as_object()) else {
        panic!("options are an object, not {options}");
    };
    command.extend(options.clone());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent")
}

/// The Python that has tlslite-ng, made by setup.sh where needed.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv");
        let done = Command::new(folder().join("setup.sh")).arg(&venv).status().expect("sh runs");
        assert!(done.success(), "tests/independent/setup.sh failed: {done}");
        venv.join("bin/python")
    })
}
