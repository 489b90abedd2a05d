//! The surroundings of a decision: a clock that is set, a network that is scripted, a shared cache that forgets nothing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use sender_constraint::exchange::{Answer, Exchange, Transport};
use sender_constraint::services::{Memory, Services};
use sender_constraint::verdict::CacheKey;
use sender_constraint::verifier_config::CacheName;

/// When it all begins.
pub const START: i64 = 1_800_000_000;

/// How the authorization server feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers as it should.
    Well,
    /// It cannot be reached.
    Away,
    /// It answers something useless.
    Confused,
}

/// The surroundings.
pub struct World {
    now: Cell<i64>,
    instant: Instant,
    memory: Memory,
    cache: RefCell<HashMap<[u8; 32], Vec<u8>>>,
    /// What introspection says of opaque tokens.
    pub opaque: RefCell<HashMap<String, String>>,
    /// The authorization server's.
    pub mood: Cell<Mood>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: Cell::new(START),
            instant: Instant::now(),
            memory: Memory::new(16),
            cache: RefCell::default(),
            opaque: RefCell::default(),
            mood: Cell::new(Mood::Well),
        }
    }
}

impl World {
    /// Time passes.
    pub fn pass(&self, seconds: i64) {
        self.now.set(self.now.get() + seconds);
    }
}

impl Transport for World {
    fn send(&self, request: &Exchange<'_>) -> Result<Answer, String> {
        let form = request.form.as_ref().expect("only introspection is asked");
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).expect("a token");
        let token = crate::slow::form::decode(token.as_bytes()).expect("our own");
        let token = String::from_utf8(token).expect("UTF-8");
        let body = match self.mood.get() {
            Mood::Away => return Err("connection refused".into()),
            Mood::Confused => "{\"active\":\"true\",\"sub\":\"joe\"}".into(),
            Mood::Well => {
                self.opaque.borrow().get(&token).cloned().unwrap_or_else(|| "{\"active\":false}".into())
            }
        };
        Ok(Answer { status: 200, cache_control: None, body: body.into_bytes() })
    }
}

impl Services for World {
    fn now(&self) -> i64 {
        self.now.get()
    }

    fn instant(&self) -> Instant {
        self.instant + Duration::from_secs(self.now.get().abs_diff(START))
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn shared(&self, _: &CacheName, key: &CacheKey) -> Option<Vec<u8>> {
        self.cache.borrow().get(key.as_bytes()).cloned()
    }

    fn share(&self, _: &CacheName, key: &CacheKey, value: &[u8], until: i64) {
        assert!(until > self.now(), "something that is over is shared");
        self.cache.borrow_mut().insert(*key.as_bytes(), value.to_vec());
    }
}
