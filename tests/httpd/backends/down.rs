//! Backends that are not there, break off, or say nothing: mod_proxy's answers, and nothing of our own.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::application::Application;
use crate::common::ports::Port;
use crate::common::{Bound, Builder, Httpd, Vhost, connector};

fn front(lines: &str) -> Builder {
    Httpd::builder().load(&["proxy", "proxy_http"]).tls_config("ClientCertForward Cert").tls_config(lines)
}

#[test]
fn nobody_listens() {
    let port = Port::reserve();
    let server = front("ProxyPass / http://127.0.0.1:{backend}/ retry=0")
        .value("backend", port.number())
        .allow_log("AH00957: http: attempt to connect to 127.0.0.1")
        .allow_log("AH01114: HTTP: failed to make connection to backend")
        .start();
    for _ in 0..2 {
        assert_eq!(Bound::open(&server).get("/", &[]).status, 503);
    }
    assert!(server.access_log().contains("503 verified"), "{}", server.access_log());
    // The request was judged before: what is refused is not even tried.
    let mark = server.log_mark();
    assert_eq!(Bound::open(&server).unbound("/", &[]).status, 400);
    assert!(!server.log_since(mark).contains("AH00957"), "{}", server.log_since(mark));
}

#[test]
fn a_balancer_without_members_and_with_one_that_comes_back() {
    let (dead, late) = (Port::reserve(), Port::reserve());
    let server = front(
        "<Proxy balancer://pool>\nBalancerMember http://127.0.0.1:{dead} retry=0\n\
         BalancerMember http://127.0.0.1:{late} retry=0\n</Proxy>\nProxyPass / balancer://pool/",
    )
    .load(&["slotmem_shm", "proxy_balancer", "lbmethod_byrequests"])
    .value("dead", dead.number())
    .value("late", late.number())
    .allow_log("AH00957: http: attempt to connect to 127.0.0.1")
    .allow_log("AH01114: HTTP: failed to make connection to backend")
    .allow_log("AH00959: ap_proxy_connect_backend disabling worker")
    .start();
    assert_eq!(Bound::open(&server).get("/", &[]).status, 503);
    let _backend = Application::python_on(late);
    for _ in 0..4 {
        assert_eq!(Bound::open(&server).get("/", &[]).status, 401, "the backend's own answer");
    }
}

/// What a backend does with a connection.
fn backend(act: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the test's process.
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(act));
    port
}

#[test]
fn the_connection_breaks_or_nothing_comes() {
    let breaks = backend(|mut stream| {
        use std::io::Read;
        let _ = stream.read(&mut [0; 100]);
    });
    let silent = backend(|stream| {
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(15));
            drop(stream);
        });
    });
    let server = front("ProxyTimeout 1\nProxyPass /breaks http://127.0.0.1:{breaks}/\nProxyPass /silent http://127.0.0.1:{silent}/")
        .value("breaks", breaks)
        .value("silent", silent)
        .allow_log("AH01102: error reading status line from remote server")
        .allow_log("AH00898: Error reading from remote server")
        .start();
    assert_eq!(Bound::open(&server).get("/breaks", &[]).status, 502);
    let begin = Instant::now();
    assert_eq!(Bound::open(&server).get("/silent", &[]).status, 502);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn a_proxy_without_the_right_certificate_gets_no_connection() {
    let (backend, files) = super::stage::verifying_node();
    let right = super::stage::verifying_host(backend.port(), &files);
    let wrong = right.replace("/proxy.pem", "/other.pem");
    let other = &crate::common::pki().client_a;
    let key = other.key.ec_key().and_then(|key| key.private_key_to_pem()).unwrap();
    std::fs::write(files.path().join("other.pem"), [other.certificate_pem(), key].concat()).unwrap();
    let without: String =
        right.lines().filter(|line| !line.contains("Machine")).map(|line| format!("{line}\n")).collect();
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .vhost(Vhost::tls("right.test").config(&right))
        .vhost(Vhost::tls("wrong.test").config(&wrong))
        .vhost(Vhost::tls("without.test").config(&without))
        .expect_log("AH02268*downstream server wanted client certificate but none are configured")
        .allow_log("AH01102: error reading status line from remote server")
        .allow_log("AH00898: Error reading from remote server")
        .start();
    let connector = connector().insecure().build().unwrap();
    for (host, expected) in [("right.test", 401), ("wrong.test", 502), ("without.test", 502)] {
        let answer = Bound::connect(&connector, server.tls(), host).get("/", &[]);
        assert_eq!(answer.status, expected, "{host}: {answer:?}");
    }
}
