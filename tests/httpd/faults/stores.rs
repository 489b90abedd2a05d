//! redis and memcached end and come back while requests go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::Httpd;
use crate::common::process::poll;
use crate::oauth2_server::stores::Store;
use crate::oauth2_server::{authorization_server, opaque, resource_server, status};

/// Two clients ask with these tokens, and for one that is none, as long as this goes on. How many answers came.
fn under_load(server: &Httpd, tokens: &[String], work: impl FnOnce()) -> usize {
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..2 {
            let (over, served) = (&over, &served);
            scope.spawn(move || {
                for token in tokens.iter().cycle().skip(number) {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    assert_eq!(status(server, "/api/hello", token), 200);
                    assert_eq!(status(server, "/api/hello", "nonsense"), 401);
                    served.fetch_add(2, Ordering::SeqCst);
                }
            });
        }
        work();
        over.store(true, Ordering::SeqCst);
    });
    served.load(Ordering::SeqCst)
}

/// The store is used again: what one server learns, another one knows.
fn is_used(first: &Httpd, second: &Httpd, fresh: &str, asked: impl Fn() -> u64) {
    assert_eq!(status(first, "/api/hello", fresh), 200);
    let before = asked();
    assert_eq!(status(second, "/api/hello", fresh), 200);
    assert_eq!(asked(), before, "the second server found it in the store");
}

fn stops_and_comes_back(mut store: Store, line: &str, complaint: &str, interval: Option<u64>) {
    let issuer = authorization_server();
    let tokens: Vec<String> = (0..6).map(|_| issuer.token(&opaque())).collect();
    let start = || {
        resource_server(&issuer, &[("api", "{introspect}&expiry=4")])
            .load(&["socache_memcache"])
            .config("OAuth2CryptoPassphrase \"correct horse battery staple\"")
            .config(line)
            .value("store", store.port())
            .allow_log(complaint)
            .start()
    };
    let (first, second) = (start(), start());
    let begin = Instant::now();
    let served = under_load(&first, &tokens, || {
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(1));
            store.kill();
            thread::sleep(Duration::from_secs(3));
            store.start_again();
        }
        thread::sleep(Duration::from_secs(1));
    });
    assert!(served > 20, "{served}");
    if let Some(interval) = interval {
        let lines = first.log().lines().filter(|line| line.contains(complaint)).count() as u64;
        let most = 1 + begin.elapsed().as_secs() / interval;
        assert!((1..=most).contains(&lines), "{lines} lines in {:?}", begin.elapsed());
    }
    // After a pause in which it is not asked.
    let again = || {
        let fresh = issuer.token(&opaque());
        status(&first, "/api/hello", &fresh);
        let before = issuer.counts().introspection;
        (status(&second, "/api/hello", &fresh) == 200 && issuer.counts().introspection == before)
            .then_some(())
    };
    poll(Duration::from_secs(40), again).expect("the store is used again");
    is_used(&first, &second, &issuer.token(&opaque()), || issuer.counts().introspection);
}

#[test]
fn redis_stops_and_comes_back_under_load() {
    let line = "OAuth2Cache redis host=127.0.0.1&port={store}";
    stops_and_comes_back(Store::redis(&[]), line, "token cache: redis at", Some(5));
}

#[test]
fn memcached_stops_and_comes_back_under_load() {
    let line = "OAuth2Cache memcache config_string=--SERVER=127.0.0.1:{store}";
    stops_and_comes_back(Store::memcached(), line, "socache_memcache:", None);
}
