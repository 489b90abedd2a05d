//! HTTP requests against servers that behave and servers that do not.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backchannel::http::{Client, Endpoint, Failure, Method, Response};

use common::{Server, again_with_environment, ok, within_a_second_of};

const SECOND: Duration = Duration::from_secs(1);

fn endpoint(url: impl Into<String>) -> Endpoint {
    Endpoint {
        url: url.into(),
        verify_tls: true,
        ca_file: None,
        client_certificate: None,
        proxy: None,
        timeout: Duration::from_secs(5),
    }
}

fn get(endpoint: &Endpoint) -> Result<Response, Failure> {
    Client::new().send(endpoint, Method::Get, &[])
}

/// An answer that is sent as it stands, and then the connection is closed.
fn raw(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    Server::start(move |stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&answer);
    })
}

#[test]
fn a_request_goes_straight_to_its_server() {
    let server = Server::http(|_| ok("Content-Type: application/json\r\n", "{\"keys\":[]}"));
    let response = get(&endpoint(server.url("http"))).unwrap();
    assert_eq!(response, Response { status: 200, cache_control: None, body: b"{\"keys\":[]}".to_vec() });
}

#[test]
fn the_environment_names_no_proxy() {
    let nowhere = "http://127.0.0.1:1";
    let proxies = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    again_with_environment("a_request_goes_straight_to_its_server", &proxies.map(|name| (name, nowhere)));
}

#[test]
fn a_named_proxy_is_used() {
    let proxy = Server::http(|request| ok("", request.lines().next().unwrap()));
    let through =
        Endpoint { proxy: Some(format!("localhost:{}", proxy.port)), ..endpoint("http://as.test/keys") };
    assert_eq!(get(&through).unwrap().body, b"GET http://as.test/keys HTTP/1.1");
    let with_scheme = Endpoint { proxy: Some(format!("http://127.0.0.1:{}", proxy.port)), ..through };
    assert_eq!(get(&with_scheme).unwrap().status, 200);
}

#[test]
fn the_environment_exempts_nobody_from_the_proxy() {
    again_with_environment("a_named_proxy_is_used", &[("no_proxy", "*"), ("NO_PROXY", "*")]);
}

#[test]
fn a_request_has_what_it_was_given_and_nothing_that_asks_back() {
    let server = Server::http(|request| {
        let (head, form) = request.split_once("\r\n\r\n").unwrap();
        ok("", &format!("{head}\n{}", form.len()))
    });
    // So large that libcurl would first ask whether it is welcome.
    let form = vec![b'x'; 2 << 20];
    let response = Client::new()
        .send(&endpoint(server.url("http")), Method::PostForm(&form), &[("Authorization", "Basic eA==")])
        .unwrap();
    let sent = String::from_utf8(response.body).unwrap();
    assert!(sent.starts_with("POST /keys HTTP/1.1\r\n"), "{sent}");
    for line in [
        "Authorization: Basic eA==",
        "Accept: application/json",
        "Content-Type: application/x-www-form-urlencoded",
        "2097152",
    ] {
        assert!(sent.lines().any(|sent| sent == line), "{line} in {sent}");
    }
    assert!(!sent.contains("Expect"), "{sent}");
}

#[test]
fn a_handle_forgets_the_request_before() {
    let server = Server::http(|request| ok("", request));
    let client = Client::new();
    let endpoint = endpoint(server.url("http"));
    client.send(&endpoint, Method::PostForm(b"token=secret"), &[("Authorization", "Bearer secret")]).unwrap();
    let second = client.send(&endpoint, Method::Get, &[]).unwrap();
    let second = String::from_utf8(second.body).unwrap();
    assert!(
        second.starts_with("GET ") && !second.contains("secret") && !second.contains("Authorization"),
        "{second}"
    );
}

#[test]
fn a_form_may_be_empty_and_its_octets_are_any() {
    let server = Server::http(|request| ok("", request.split_once("\r\n\r\n").unwrap().1));
    let send = |form: &[u8]| {
        Client::new().send(&endpoint(server.url("http")), Method::PostForm(form), &[]).unwrap().body
    };
    assert_eq!(send(b""), b"");
    assert_eq!(send(b"a\0b"), b"a\0b");
}

#[test]
fn statuses_are_answers() {
    for status in [204, 302, 400, 401, 404, 500, 503] {
        let server = raw(format!("HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(get(&endpoint(server.url("http"))).unwrap().status, status);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Server::http(|_| ok("", "secret"));
    let location =
        format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 4\r\n\r\nhere", target.url("http"));
    let response = get(&endpoint(raw(location).url("http"))).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (302, b"here".as_slice()));
    assert_eq!(target.accepted(), 0);
}

#[test]
fn cache_control_is_joined_and_an_interim_response_has_none() {
    let server = raw("HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=1\r\n\r\n\
         HTTP/1.1 200 OK\r\ncache-control:  max-age=60 \r\nCACHE-CONTROL: private\r\nContent-Length: 0\r\n\r\n");
    let response = get(&endpoint(server.url("http"))).unwrap();
    assert_eq!(response.cache_control.as_deref(), Some("max-age=60, private"));
}

#[test]
fn a_server_that_never_answers_meets_the_limit() {
    let server = Server::silent();
    let endpoint = Endpoint { timeout: SECOND, ..endpoint(server.url("http")) };
    let failure = within_a_second_of(SECOND, || get(&endpoint)).unwrap_err();
    assert_eq!(failure.to_string(), format!("no answer from localhost:{} within 1 s", server.port));
}

#[test]
fn a_silent_tls_server_meets_the_limit() {
    let endpoint = Endpoint { timeout: SECOND, ..endpoint(Server::silent().url("https")) };
    assert!(matches!(within_a_second_of(SECOND, || get(&endpoint)), Err(Failure::Timeout { .. })));
}

#[test]
fn octets_that_trickle_do_not_extend_the_limit() {
    let pause = Duration::from_millis(50);
    let head = Server::trickling(b"HTTP/1.1 200 OK\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n", pause);
    let body = Server::start(move |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(pause);
        }
    });
    for server in [head, body] {
        let endpoint = Endpoint { timeout: SECOND, ..endpoint(server.url("http")) };
        assert!(matches!(within_a_second_of(SECOND, || get(&endpoint)), Err(Failure::Timeout { .. })));
    }
}

#[test]
fn no_time_at_all_is_a_limit_too() {
    let server = Server::silent();
    for url in [server.url("http"), format!("http://127.0.0.1:{}/", server.port)] {
        let endpoint = Endpoint { timeout: Duration::ZERO, ..endpoint(url) };
        assert!(matches!(
            within_a_second_of(Duration::ZERO, || get(&endpoint)),
            Err(Failure::Timeout { .. })
        ));
    }
}

#[test]
fn a_mebibyte_is_read_and_an_octet_more_is_not() {
    let limit = Client::LARGEST_BODY;
    let full = Server::http(move |_| ok("", &"x".repeat(limit)));
    assert_eq!(get(&endpoint(full.url("http"))).unwrap().body.len(), limit);
    let more = Server::http(move |_| ok("", &"x".repeat(limit + 1)));
    let failure = get(&endpoint(more.url("http"))).unwrap_err();
    assert_eq!(
        failure.to_string(),
        format!("the answer of localhost:{} is larger than 1048576 octets", more.port)
    );
    // Without a length that could be refused beforehand.
    let endless = Server::start(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    assert!(matches!(get(&endpoint(endless.url("http"))), Err(Failure::TooLarge { .. })));
}

#[test]
fn garbage_is_no_response() {
    let answers: [&[u8]; 7] = [
        b"",
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for answer in answers {
        let result = get(&endpoint(raw(answer).url("http")));
        assert!(matches!(result, Err(Failure::Connection { .. })), "{result:?} to {}", answer.escape_ascii());
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    let server = Server::start(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&[b"X: ".as_slice(), &[b'x'; 65536], b"\r\n"].concat()).is_ok() {}
    });
    assert!(matches!(get(&endpoint(server.url("http"))), Err(Failure::Connection { .. })));
}

#[test]
fn nobody_listens() {
    let failure = get(&endpoint("http://127.0.0.1:1/keys?secret")).unwrap_err().to_string();
    assert!(failure.starts_with("127.0.0.1:1: ") && !failure.contains("secret"), "{failure}");
}

#[test]
fn a_name_that_cannot_be_looked_up() {
    // A label of more than 63 octets: no name server is asked.
    let failure = get(&endpoint(format!("http://{}.test/", "a".repeat(64)))).unwrap_err().to_string();
    assert!(failure.contains("cannot find the address of aaaa"), "{failure}");
}

#[test]
fn other_protocols_of_libcurl_are_not_spoken() {
    let server = Server::silent();
    for scheme in ["ftp", "gopher", "ldap", "telnet", "dict"] {
        let failure = get(&endpoint(server.url(scheme))).unwrap_err().to_string();
        assert!(failure.ends_with("only https, http and file are spoken"), "{failure}");
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_connection_is_used_again() {
    let server = Server::http(|_| ok("", "1"));
    let client = Client::new();
    for _ in 0..3 {
        assert_eq!(client.send(&endpoint(server.url("http")), Method::Get, &[]).unwrap().body, b"1");
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_does_not_matter() {
    let server = raw(ok("", "1"));
    let client = Client::new();
    for _ in 0..3 {
        assert_eq!(
            client.send(&endpoint(server.url("http")), Method::PostForm(b"a=b"), &[]).unwrap().body,
            b"1"
        );
    }
    assert_eq!(server.accepted(), 3);
}

#[test]
fn after_a_time_limit_the_late_answer_is_nobody_elses() {
    let server = Server::http(|request| {
        if request.starts_with("GET /slow") {
            thread::sleep(Duration::from_millis(1500));
            return ok("", "slow");
        }
        ok("", "quick")
    });
    let client = Client::new();
    let slow = Endpoint { timeout: SECOND, ..endpoint(format!("http://127.0.0.1:{}/slow", server.port)) };
    assert!(matches!(client.send(&slow, Method::Get, &[]), Err(Failure::Timeout { .. })));
    thread::sleep(SECOND);
    assert_eq!(client.send(&endpoint(server.url("http")), Method::Get, &[]).unwrap().body, b"quick");
}

#[test]
fn sixteen_threads_each_get_their_own_answer() {
    let server = Arc::new(Server::http(|request| ok("", request.lines().next().unwrap())));
    let client = Arc::new(Client::new());
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            let (server, client) = (Arc::clone(&server), Arc::clone(&client));
            thread::spawn(move || {
                for turn in 0..20 {
                    let path = format!("/{thread}/{turn}");
                    let endpoint = endpoint(format!("http://localhost:{}{path}", server.port));
                    let response = client.send(&endpoint, Method::Get, &[]).unwrap();
                    assert_eq!(response.body, format!("GET {path} HTTP/1.1").into_bytes());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(server.accepted() < 16 * 20, "connections were kept");
}

#[test]
fn files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let at = |path: &std::path::Path| endpoint(format!("file://{}", path.display()));
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(get(&at(&path)).unwrap(), Response { status: 200, cache_control: None, body: b"{}".to_vec() });
    std::fs::write(&path, vec![b'x'; Client::LARGEST_BODY + 1]).unwrap();
    assert!(matches!(get(&at(&path)), Err(Failure::TooLarge { .. })));
    let missing = get(&at(&folder.path().join("none"))).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read ") && missing.contains("No such file"), "{missing}");
    let directory = get(&at(folder.path())).unwrap_err().to_string();
    assert!(directory.ends_with("it is not a file"), "{directory}");
}

#[test]
fn a_file_url_is_absolute_and_a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (url, reason) in [
        ("file://etc/passwd".to_owned(), "file:///"),
        ("FILE://localhost/etc/passwd".to_owned(), "file:///"),
        ("file:///dev/zero".to_owned(), "not a file"),
        (format!("file://{}", pipe.display()), "not a file"),
    ] {
        let failure = get(&endpoint(url)).unwrap_err().to_string();
        assert!(failure.contains(reason), "{failure}");
    }
}
