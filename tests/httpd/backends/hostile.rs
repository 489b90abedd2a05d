//! Hostile requests straight to the reference backends, as if there were a way past httpd: refused, and nobody falls over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::application::Application;
use super::stage::php_server;
use crate::common::Httpd;
use crate::common::exchange::{Answer, get_plain, post_plain};

/// Each backend's name and where it listens.
struct Backends {
    addresses: Vec<(&'static str, SocketAddr)>,
    _applications: [Application; 4],
    _php_server: Httpd,
}

impl Backends {
    fn start() -> Self {
        let (python, node, php) = (Application::python(), Application::node(&[]), Application::php());
        let verifying = Application::node(&["--verify"]);
        let php_server = php_server(php.port());
        let addresses = vec![
            ("Python", python.address()),
            ("Node", node.address()),
            ("verifying", verifying.address()),
            ("PHP", php_server.plain()),
        ];
        Self { addresses, _applications: [python, node, verifying, php], _php_server: php_server }
    }

    /// The same request to each; each answers it with this status.
    fn all_answer(&self, status: u16, path: &str, fields: &[&str]) {
        for (name, address) in &self.addresses {
            let answer = get_plain(*address, "localhost", path, fields);
            assert_eq!(answer.status, status, "{name}: {path} {fields:?} {answer:?}");
        }
    }
}

#[test]
fn malformed_headers_are_refused() {
    let backends = Backends::start();
    let long = format!("Client-Cert: :{}", "A".repeat(7000));
    for field in [
        "Client-Cert:",
        "Client-Cert: ",
        "Client-Cert: :",
        "Client-Cert: ::",
        "Client-Cert: AAAA",
        "Client-Cert: :AAAA",
        "Client-Cert: AAAA:",
        "Client-Cert: :AAA:",
        "Client-Cert: :AA=:",
        "Client-Cert: :AAA==:",
        "Client-Cert: :AAB=:",
        "Client-Cert: :AA-_:",
        "Client-Cert: :AA AA:",
        "Client-Cert: :AAAA:;a=1",
        "Client-Cert: :AAAA:, :AAAA:",
        "Client-Cert: :AAAA\u{e9}:",
        "Client-Cert: :\u{e9}\u{e9}:",
        "Client-Cert: %3AAAAA%3A",
        "Client-Cert: ?1",
        &long,
    ] {
        backends.all_answer(400, "/", &[field]);
    }
    backends.all_answer(400, "/", &["Client-Cert: :AAAA:", "Client-Cert: :AAAA:"]);
    backends.all_answer(401, "/", &["Client-Cert: :AAAA:"]);
    for (name, address) in &backends.addresses {
        for id in ["", "A=", "A B", "A,A", "A+", "A/", "\u{e9}", "A;", "\"A\"", "A\tA"] {
            let field = format!("Sec-Provided-Token-Binding-ID: {id}");
            let message = format!("Sec-Token-Binding: {id}");
            let answer = get_plain(*address, "localhost", "/", &[&field, &message]);
            assert_eq!(answer.status, 400, "{name}: {field} {answer:?}");
        }
        let twice =
            ["Sec-Provided-Token-Binding-ID: A", "Sec-Provided-Token-Binding-ID: A", "Sec-Token-Binding: A"];
        assert_eq!(get_plain(*address, "localhost", "/", &twice).status, 400, "{name}");
    }
}

#[test]
fn cookies_paths_and_forms_of_any_kind_open_nothing() {
    let backends = Backends::start();
    for cookie in [
        "__Host-session=",
        "__Host-session=../../../../etc/passwd",
        "__Host-session=constructor",
        "__Host-session=__proto__",
        "__Host-session[]=a",
        "__Host-session=a; __Host-session=b",
        "__Host-session=%00",
        "__Host-session=<b>",
        "__Host-session=\u{e9}",
        "=;;=;__Host-session",
        "a,b/c=d; \"; __Host-session=\"x",
    ] {
        backends.all_answer(401, "/", &[&format!("Cookie: {cookie}")]);
    }
    let long = format!("Cookie: __Host-session={}", "a".repeat(5000));
    backends.all_answer(401, "/", &[&long]);
    for path in ["//", "/login", "/logout", "/?a[]=1&a=%ff", "/__proto__", "/index.php/x"] {
        for (name, address) in &backends.addresses {
            let status = get_plain(*address, "localhost", path, &[]).status;
            assert!([401, 404].contains(&status), "{name}: {path} {status}");
        }
    }
    for (name, address) in &backends.addresses {
        for form in ["", "user=", "user", "=alice", "user[]=alice", "&&&", "%", "a=b&user="] {
            let answer = post_plain(*address, "localhost", "/login", &[], form);
            assert_eq!(answer.status, 400, "{name}: {form} {answer:?}");
            assert_eq!(answer.header("Set-Cookie"), None, "{name}: {form}");
        }
        let answer =
            post_plain(*address, "localhost", "/login", &[], "user=%22%3E%3Cscript%3E%ff%00%0d%0aX:%20y");
        assert!(answer.status == 200 && answer.header("X").is_none(), "{name}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{name}");
    }
}

#[test]
fn lengths_that_lie_harm_nobody_else() {
    let backends = Backends::start();
    for (name, address) in &backends.addresses {
        for length in ["-1", "x", "99999999999999999999999", "1e3", "0x10"] {
            let head = format!(
                "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nuser=alice"
            );
            if let Some(answer) = raw(*address, &head) {
                assert!(answer.contains(" 400 ") || answer.contains(" 413 "), "{name}: {length} {answer}");
            }
        }
        let large = format!("user={}", "a".repeat(100_000));
        let answer = post_plain(*address, "localhost", "/login", &[], &large);
        // Nobody is logged in as a part of a name. PHP has a limit of its own, 8 MB.
        assert_eq!(answer.status, if *name == "PHP" { 200 } else { 400 }, "{name}: {answer:?}");
        assert_serves(name, *address);
    }
}

/// What comes back until the connection ends, if anything does.
fn raw(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    (!octets.is_empty()).then(|| String::from_utf8_lossy(&octets).into_owned())
}

fn assert_serves(name: &str, address: SocketAddr) {
    let answer: Answer = get_plain(address, "localhost", "/", &[]);
    assert_eq!(answer.status, 401, "{name} is still well: {answer:?}");
}
