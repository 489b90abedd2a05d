//! A resource server in miniature: requests, connections, and an authorization server that can be made to misbehave.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use sender_constraint::cnf::Proofs;
use sender_constraint::decision::{Authenticated, Policy, Refused, Verifiers, authenticate};
use sender_constraint::exchange::{Answer, Endpoint, Exchange, Transport};
use sender_constraint::provider;
use sender_constraint::refusal::Refusal;
use sender_constraint::services::{Event, Memory, Services};
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::{Request, TokenSources};
use sender_constraint::verdict::CacheKey;
use sender_constraint::verifier::Verifier;
use sender_constraint::verifier_config::{CacheName, VerifierConfig};
use sender_constraint::waiting_room::{PLACES_OF_A_PROCESS, Place, Places, WaitingRoom};
use serde_json::{Value, json};
use token_binding::base64url;

pub const NOW: i64 = 1_800_000_000;

/// A key of an authorization server.
pub struct Signer {
    key: EncodingKey,
    pub jwk: Value,
    pub pem: Vec<u8>,
    kid: Option<String>,
}

impl Signer {
    pub fn new(kid: Option<&str>) -> Self {
        provider::install();
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let b64 = |number: &BigNum| base64url::encode(&number.to_vec_padded(32).unwrap());
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "x": b64(&x), "y": b64(&y)});
        if let Some(kid) = kid {
            jwk["kid"] = json!(kid);
        }
        let key = PKey::from_ec_key(key).unwrap();
        Self {
            key: EncodingKey::from_ec_der(&key.private_key_to_pkcs8().unwrap()),
            jwk,
            pem: key.public_key_to_pem().unwrap(),
            kid: kid.map(str::to_owned),
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = self.kid.clone();
        self.sign_with(&header, claims)
    }

    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }
}

/// Good claims, with more or others.
pub fn claims(more: Value) -> Value {
    let mut claims = json!({"sub": "joe", "exp": NOW + 3600});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// What the authorization server answers, by URL.
type Site = HashMap<String, Box<dyn Fn(&str) -> Result<Answer, String>>>;

/// What somebody else does at a certain moment.
type Deed = Box<dyn FnOnce()>;

/// The surroundings: a clock to be set, a network to be scripted, a cache to be looked into.
pub struct World {
    pub now: Cell<i64>,
    start: Instant,
    pub memory: Memory,
    pub site: RefCell<Site>,
    pub requests: RefCell<Vec<(String, String, Option<String>)>>,
    pub cache: RefCell<HashMap<[u8; 32], Vec<u8>>>,
    pub events: RefCell<Vec<String>>,
    pub places: Places,
    pub threads: Places<PLACES_OF_A_PROCESS>,
    /// What others do when the clock is read: at the next time, the last of these.
    pub meanwhile: RefCell<Vec<Option<Deed>>>,
}

impl World {
    pub fn new() -> Self {
        Self {
            now: Cell::new(NOW),
            start: Instant::now(),
            memory: Memory::new(1000),
            site: RefCell::default(),
            requests: RefCell::default(),
            cache: RefCell::default(),
            events: RefCell::default(),
            places: Places::default(),
            threads: Places::default(),
            meanwhile: RefCell::default(),
        }
    }

    pub fn pass(&self, seconds: i64) {
        self.now.set(self.now.get() + seconds);
    }

    pub fn answer(&self, url: &str, answer: impl Fn(&str) -> Result<Answer, String> + 'static) {
        self.site.borrow_mut().insert(url.to_owned(), Box::new(answer));
    }

    pub fn serve(&self, url: &str, body: impl ToString) {
        let body = body.to_string().into_bytes();
        self.answer(url, move |_| Ok(Answer { status: 200, cache_control: None, body: body.clone() }));
    }

    pub fn fetches(&self, url: &str) -> usize {
        self.requests.borrow().iter().filter(|(asked, ..)| asked == url).count()
    }

    pub fn count(&self, event: &str) -> usize {
        self.events.borrow().iter().filter(|seen| seen.starts_with(event)).count()
    }

    /// As many of this server's two workers as may wait for `url` do; of this process, or of another.
    pub fn crowd(&self, url: &str, in_this_process: bool) -> Place<'_> {
        let endpoint = Endpoint {
            url: url.to_owned(),
            verify_tls: true,
            ca_file: None,
            client_certificate: None,
            proxy: None,
            timeout: Duration::from_secs(1000),
        };
        self.waiting_rooms()[usize::from(!in_this_process)].unwrap().enter(&endpoint).unwrap()
    }

    /// Forgets what the process remembers, as another process would not know it.
    pub fn restart(&mut self) {
        self.memory = Memory::new(1000);
    }
}

impl Transport for World {
    fn send(&self, request: &Exchange<'_>) -> Result<Answer, String> {
        let url = request.endpoint.url.clone();
        let form = request.form.as_ref().map(|form| form.to_string()).unwrap_or_default();
        let authorization = request.headers.iter().find(|(name, _)| *name == "Authorization");
        let authorization = authorization.map(|(_, value)| value.to_string());
        self.requests.borrow_mut().push((url.clone(), form.clone(), authorization));
        match self.site.borrow().get(&url) {
            Some(answer) => answer(&form),
            None => Err(format!("{url}: connection refused")),
        }
    }
}

impl Services for World {
    fn now(&self) -> i64 {
        self.now.get()
    }
    fn instant(&self) -> Instant {
        let meanwhile = self.meanwhile.borrow_mut().pop().flatten();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.start + Duration::from_secs(u64::try_from(self.now.get() - NOW).unwrap())
    }
    fn memory(&self) -> &Memory {
        &self.memory
    }
    fn shared(&self, _: &CacheName, key: &CacheKey) -> Option<Vec<u8>> {
        self.cache.borrow().get(key.as_bytes()).cloned()
    }
    fn share(&self, _: &CacheName, key: &CacheKey, value: &[u8], _: i64) {
        self.cache.borrow_mut().insert(*key.as_bytes(), value.to_vec());
    }
    fn waiting_rooms(&self) -> [Option<WaitingRoom<'_>>; 2] {
        let now = u64::try_from(self.now.get()).unwrap() * 1000;
        [self.threads.room(2, now), self.places.room(2, now)]
    }
    fn observe(&self, event: &Event<'_>) {
        self.events.borrow_mut().push(format!("{event:?}"));
    }
}

/// A request with some headers.
#[derive(Default)]
pub struct Get {
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub query: Option<Vec<u8>>,
}

impl Get {
    pub fn bearer(token: &str) -> Self {
        Self { headers: vec![("Authorization", format!("Bearer {token}").into_bytes())], query: None }
    }
}

impl Request for Get {
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        let name = name.to_str().unwrap();
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
    fn environment(&self, _: &CStr) -> Option<&[u8]> {
        None
    }
    fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn form_body(&self) -> Result<&[u8], &'static str> {
        Err("no body")
    }
}

/// A part of the site.
pub struct Location {
    pub sources: TokenSources,
    pub verifiers: Verifiers,
    pub target: Arc<TargetSettings>,
}

pub fn verifier(kind: &str, value: &str, options: &str) -> Arc<Verifier> {
    let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let (config, _) = VerifierConfig::parse(kind, value, options.as_bytes(), &read).unwrap();
    Arc::new(Verifier::new(config))
}

impl Location {
    pub fn of(verifiers: Vec<Arc<Verifier>>) -> Self {
        Self {
            sources: TokenSources::default(),
            verifiers: Verifiers::new(verifiers),
            target: Arc::new(TargetSettings::default()),
        }
    }

    pub fn new(kind: &str, value: &str, options: &str) -> Self {
        Self::of(vec![verifier(kind, value, options)])
    }

    pub fn ask(&self, world: &World, request: &Get, proofs: &Proofs<'_>) -> Result<Authenticated, Refused> {
        let policy = Policy { sources: &self.sources, verifiers: &self.verifiers, target: &self.target };
        authenticate(&policy, request, proofs, world)
    }

    /// The user, or the refusal.
    pub fn user(&self, world: &World, token: &str) -> Result<String, Refusal> {
        self.user_with(world, token, &Proofs::default())
    }

    pub fn user_with(&self, world: &World, token: &str, proofs: &Proofs<'_>) -> Result<String, Refusal> {
        self.ask(world, &Get::bearer(token), proofs)
            .map(|granted| granted.accepted.passed.user.to_str().unwrap().to_owned())
            .map_err(|refused| refused.refusal)
    }
}

/// What the client sees.
pub fn status(result: Result<String, Refusal>) -> u16 {
    result.map_or_else(|refusal| refusal.status(), |_| 200)
}

/// A key set.
pub fn jwks(keys: &[&Signer]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()})
}
