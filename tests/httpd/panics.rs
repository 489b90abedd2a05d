//! A panic in a callback is one 500 and one line in the log; the process and its other requests go on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::common::process::poll;
use crate::common::{Backend, Bound, Builder, Httpd, Independent, Mpm, Vhost};

/// Where the header X-Inject-Panic makes a module with the feature `inject-panic` panic.
const POINTS: [&str; 6] =
    ["post_read_request", "header_parser", "check_access", "fixups", "insert_filter", "check_authorization"];
const LINE: &str = "internal error, please report it";

/// The module with that feature, built once, in a folder of its own: cargo would put it in the place of the other one.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("inject-panic");
        let built = Command::new(std::env::var_os("CARGO").expect("cargo runs the tests"))
            .args(["build", "--quiet", "--locked", "--lib", "--features", "inject-panic", "--target-dir"])
            .arg(&folder)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the module with inject-panic does not build: {built}");
        folder.join("debug/libmod_token_binding.so")
    })
}

/// A server with that module. One process answers, and says which.
fn panicking() -> Builder {
    Httpd::builder()
        .module(module())
        .config("MaxConnectionsPerChild 0\nCustomLog {root}/pids.log %P")
        .config("<Location /required>\nRequire token-binding\n</Location>")
        .file("required/page.txt", "inside\n")
        .expect_log(LINE)
}

/// The processes that answered, in the order of their requests.
fn pids(server: &Httpd) -> Vec<String> {
    let log = std::fs::read_to_string(server.document_root().with_file_name("pids.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// One request that panics: its status and how many lines of the log say so.
fn inject(server: &Httpd, point: &str) -> (u16, usize) {
    let mark = server.log_mark();
    let field = format!("X-Inject-Panic: {point}");
    let answer = Bound::open(server).get("/required/page.txt", &[&field]);
    assert!(!answer.body.contains("inside"), "{point} {answer:?}");
    (answer.status, server.log_since(mark).matches(LINE).count())
}

#[test]
fn a_panic_is_one_500_and_one_line() {
    for mpm in Mpm::ALL {
        let server = panicking().mpm(mpm).start();
        for point in POINTS {
            assert_eq!(inject(&server, point), (500, 1), "{mpm:?} {point}");
        }
        let mut client = Bound::open(&server);
        assert_eq!(client.get("/required/page.txt", &[]).body, "inside\n", "{mpm:?}");
        assert_eq!(client.get("/required/page.txt", &["X-Inject-Panic: nowhere"]).status, 200, "{mpm:?}");
        // A request is logged when its response is gone.
        let complete = || Some(pids(&server)).filter(|pids| pids.len() == POINTS.len() + 2);
        let pids = poll(Duration::from_secs(10), complete).expect("a line for each request");
        // Prefork has one process for each connection at a time; the others have one here.
        if mpm != Mpm::Prefork {
            assert!(pids.iter().all(|pid| *pid == pids[0]), "no child died: {pids:?}");
        }
    }
}

#[test]
fn other_requests_of_the_process_do_not_notice() {
    let server = panicking().start();
    thread::scope(|scope| {
        let calm = scope.spawn(|| {
            let mut client = Bound::open(&server);
            for _ in 0..40 {
                assert_eq!(client.get("/required/page.txt", &[]).status, 200);
            }
        });
        let mut panics = 0;
        while !calm.is_finished() {
            assert_eq!(inject(&server, "fixups"), (500, 1));
            panics += 1;
        }
        assert!(panics > 0);
    });
    let pids = pids(&server);
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[test]
fn the_connection_goes_on_and_later_requests_are_judged() {
    let server = panicking().start();
    let mut client = Bound::open(&server);
    let answer = client.get("/hello.txt", &["X-Inject-Panic: fixups"]);
    assert_eq!(answer.status, 500);
    // httpd may close the connection after a 500; where it does not, the next request is served on it.
    if answer.header("Connection") != Some("close") {
        assert_eq!(client.get("/hello.txt", &[]).status, 200);
    }
    assert_eq!(Bound::open(&server).unbound("/hello.txt", &[]).status, 400);
}

#[test]
fn a_panicking_stream_leaves_the_others_alone() {
    let server = panicking().load(&["http2"]).config("Protocols h2 http/1.1").start();
    let mut client = Independent::start();
    client.connect("one", server.tls(), &json!({"tls": "1.3", "alpn": "h2", "offer": "01000102"})).done();
    client.key("key", "ecdsap256");
    let message = client.message("one", &json!([{"key": "key"}]));
    let request = |point: &str| json!({"path": "/required/page.txt", "headers": [["sec-token-binding", message], ["x-inject-panic", point]]});
    let mark = server.log_mark();
    let requests =
        json!([request("nowhere"), request("post_read_request"), request("nowhere"), request("fixups")]);
    let statuses: Vec<_> = client.streams("one", &requests).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 500, 200, 500]);
    assert_eq!(server.log_since(mark).matches(LINE).count(), 2);
    let again = client.streams("one", &json!([request("nowhere")]));
    assert_eq!(again[0].status, 200, "the connection goes on");
}

#[test]
fn a_panic_in_an_internal_redirect_or_a_subrequest_is_contained() {
    // The field is in force in every part of the request, so the first part fails already; ErrorDocument is asked once.
    let server = panicking().config("ErrorDocument 500 /hello.txt").load(&["include"]).start();
    for path in ["/cgi/redirect.cgi", "/include.shtml", "/"] {
        let answer = Bound::open(&server).get(path, &["X-Inject-Panic: fixups"]);
        assert_eq!(answer.status, 500, "{path} {answer:?}");
        assert!(!answer.body.contains("Token_Binding"), "{path} {answer:?}");
    }
    assert_eq!(Bound::open(&server).get("/include.shtml", &[]).status, 200);
}

#[test]
fn what_the_filters_would_have_done_is_not_left_out() {
    let backend = Backend::http();
    let proxied = |path: &str| format!("ProxyPass {path} http://127.0.0.1:{}{path}", backend.port());
    let server = panicking()
        .load(&["proxy", "proxy_http"])
        .config(&proxied("/backend/"))
        .config("Redirect /elsewhere https://elsewhere.test/")
        .start();
    let answer = Bound::open(&server).get("/backend/", &["X-Inject-Panic: insert_filter"]);
    assert_eq!(answer.status, 500);
    assert_eq!(backend.heads(), [""; 0], "the backend was asked");
    // A response that httpd makes itself is not sent.
    let mut client = Bound::open(&server);
    let request = format!(
        "GET /elsewhere HTTP/1.1\r\nHost: localhost\r\nX-Inject-Panic: insert_error_filter\r\nSec-Token-Binding: {}\r\n\r\n",
        client.message()
    );
    assert!(client.exchange(&request).is_err(), "the connection ends");
    assert_eq!(Bound::open(&server).get("/elsewhere", &[]).status, 302);
}

#[test]
fn a_configuration_that_could_not_be_made_lets_nothing_through() {
    for point in ["create", "merge"] {
        let other = Vhost::tls("other.test").config("TokenBindingMissing Allow");
        let builder = panicking().vhost(other).environment("INJECT_PANIC", point);
        let refused = builder.try_start().err().unwrap_or_else(|| panic!("{point}: the server starts"));
        assert!(refused.output.contains(LINE), "{point}: {}", refused.output);
        assert!(
            refused.output.contains("the configuration could not be made"),
            "{point}: {}",
            refused.output
        );
    }
    // Sections are joined for each request.
    let server = panicking()
        .environment("INJECT_PANIC", "merge:serving")
        .config("<Location /passed>\nTokenBindingPassVar none\n</Location>\nTokenBindingPassVar provided")
        .file("passed/page.txt", "inside\n")
        .start();
    let answer = Bound::open(&server).get("/passed/page.txt", &[]);
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(!answer.body.contains("inside"));
}

#[test]
fn the_module_as_released_knows_no_such_header() {
    let server = Httpd::builder().start();
    for point in POINTS {
        let field = format!("X-Inject-Panic: {point}");
        assert_eq!(Bound::open(&server).get("/hello.txt", &[&field]).status, 200, "{point}");
    }
}
