//! Hard restarts under load: a request is answered rightly or not at all. Graceful ones are in lifecycle.rs and
//! oauth2_server/hang.rs; `make soak` has both, for event too.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::common::bound::tbh;
use crate::common::{Bound, Httpd, Mpm, connector, keys};
use crate::oauth2::tokens::{self, token};

#[test]
fn a_hard_restart_answers_rightly_or_not_at_all() {
    let mut server = Httpd::builder()
        .mpm(Mpm::Prefork)
        .children(4)
        .load(&["authz_user"])
        .value("one", tokens::keys().one.quoted())
        .config(
            "OAuth2Cache shm\n<Location />\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TokenVerify jwk {one} type=token-binding&verify.cache=default\n</Location>",
        )
        .start();
    let (own, others) =
        (token(json!({"cnf": {"tbh": tbh(&keys().a)}})), token(json!({"cnf": {"tbh": tbh(&keys().b)}})));
    let (over, served, address) = (AtomicBool::new(false), AtomicUsize::new(0), server.tls());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let connector = connector().build().unwrap();
                while !over.load(Ordering::SeqCst) {
                    let Ok(connection) = connector.connect(address, "localhost") else { continue };
                    let mut client = Bound::over(connection, "localhost");
                    for (token, status) in [(&own, 200), (&others, 401), (&own, 200)] {
                        let message = client.message();
                        let request = format!(
                            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {message}\r\nAuthorization: Bearer {token}\r\n\r\n"
                        );
                        let Ok(answer) = client.exchange(&request) else { break };
                        assert_eq!(answer.status, status, "{answer:?}");
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..4 {
            thread::sleep(Duration::from_millis(400));
            server.hard_restart();
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::SeqCst) > 20, "{served:?}");
    // All at once, in the new generation.
    let mut client = Bound::open(&server);
    assert_eq!(client.get("/hello.txt", &[&format!("Authorization: Bearer {own}")]).status, 200);
}
