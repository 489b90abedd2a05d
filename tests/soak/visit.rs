//! What a client does on a connection, right and wrong, and what must come of it.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::ssl::SslVersion;
use serde_json::{Value, json};
use tokbind::tls::{Connector, Offer};
use token_binding::{Ekm, KeyPair, base64url};

use crate::common::authorization_server::{AuthorizationServer, Format, Grant, decode};
use crate::common::bound::{id, identity, tbh};
use crate::common::certificates::{Identity, pki};
use crate::common::exchange::Answer;
use crate::common::{connector, keys};
use crate::tokens;

const TOKENS: usize = 24;

/// One connection.
pub struct Visit {
    /// The key of a client that offers Token Binding.
    key: Option<&'static KeyPair>,
    pub connector: Connector,
    pub asks: Vec<Ask>,
}

/// One request.
#[derive(Debug)]
pub struct Ask {
    pub path: &'static str,
    message: Message,
    /// Name and value.
    fields: Vec<(&'static str, String)>,
    pub hostile: bool,
    pub expected: Expected,
}

/// `Sec-Token-Binding`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    Own,
    Twice,
    Forged,
    /// Of another connection.
    Stolen,
    Garbage,
}

/// What must come.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    status: u16,
    provided: Option<String>,
    certificate: Option<String>,
    subject: Option<String>,
}

impl Expected {
    pub fn compare(&self, answer: &Answer) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("{} in place of {}", answer.status, self.status));
        }
        for (name, expected) in [
            ("X-Provided", &self.provided),
            ("X-Certificate", &self.certificate),
            ("X-Subject", &self.subject),
        ] {
            let seen = answer.header(name).filter(|value| *value != "(null)");
            // What httpd refuses by itself has no such fields, and what is refused says nothing of the certificate.
            if seen != expected.as_deref() && !(seen.is_none() && self.status == 400) {
                return Err(format!("{name}: {seen:?} in place of {expected:?}"));
            }
        }
        // What the backend would have got.
        if self.status == 200 {
            let echoed = answer.header("Sec-Provided-Token-Binding-ID");
            if echoed != self.provided.as_deref() || answer.body != "hello\n" {
                return Err(format!("passed on: {echoed:?}"));
            }
        }
        Ok(())
    }
}

/// Who takes part: clients with their keys and certificates, and good tokens.
pub struct Cast {
    /// By HTTP/2, with a Token Binding key, with a certificate (none, A, B), with TLS 1.3.
    connectors: Vec<Connector>,
    thumbprints: [String; 2],
    /// Of the keys in the configuration: unbound, bound to each certificate, bound to each key.
    bearer: Vec<String>,
    mtls: [Vec<String>; 2],
    tb: [Vec<String>; 2],
    /// Of the authorization server, with their subjects.
    signed: Vec<(String, Option<String>)>,
    opaque: Vec<(String, Option<String>)>,
    garbage: Vec<String>,
    stolen: Mutex<Option<String>>,
}

impl Cast {
    pub fn new(issuer: &AuthorizationServer) -> Self {
        let grant = |format| Grant {
            client: "bearer",
            format,
            lifetime: std::time::Duration::from_secs(2 * 3600),
            ..Grant::default()
        };
        let subject = |claims: &Value| claims["sub"].as_str().map(str::to_owned);
        let signed = |_| {
            let token = issuer.token(&grant(Format::Es256));
            let subject = subject(&decode(&token).0);
            (token, subject)
        };
        let opaque = |_| {
            let token = issuer.token(&grant(Format::Opaque));
            let subject = subject(&issuer.introspect(&token));
            (token, subject)
        };
        let certificates = [&pki().client_a, &pki().client_b];
        let many = |more: Value| (0..TOKENS).map(|_| lasting(more.clone())).collect::<Vec<_>>();
        Self {
            connectors: connectors(),
            thumbprints: certificates.map(|one| {
                let claims = tokens::bound_to(one);
                claims["cnf"]["x5t#S256"].as_str().expect("text").to_owned()
            }),
            bearer: many(json!({})),
            mtls: certificates.map(|one| many(tokens::bound_to(one))),
            tb: [&keys().a, &keys().b].map(|key| many(json!({"cnf": {"tbh": tbh(key)}}))),
            signed: (0..TOKENS).map(signed).collect(),
            opaque: (0..TOKENS).map(opaque).collect(),
            garbage: garbage(),
            stolen: Mutex::default(),
        }
    }

    /// The next thing that this client does. `opaque`: it has opaque tokens too.
    pub fn visit(&self, dice: &mut Dice, http2: bool, opaque: bool) -> Visit {
        let key = dice.of(3).checked_sub(1);
        let certificate = dice.of(3).checked_sub(1);
        let version = dice.of(2);
        let place = usize::from(http2) * 2 + usize::from(key.is_some());
        let place = (place * 3 + certificate.map_or(0, |number| number + 1)) * 2 + version;
        let person = Person { cast: self, key, certificate, http2, opaque };
        let asks = (0..=dice.of(12))
            .map(|_| if dice.of(10) == 0 { person.hostile(dice) } else { person.honest(dice) })
            .collect();
        Visit { key: key.map(key_of), connector: self.connectors[place].clone(), asks }
    }

    fn stolen(&self) -> Option<String> {
        self.stolen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn key_of(number: usize) -> &'static KeyPair {
    [&keys().a, &keys().b][number]
}

/// A token of the configured key that outlives the soak.
fn lasting(mut more: Value) -> String {
    more["exp"] = json!(tokens::now() + 4 * 3600);
    more["jti"] = json!(base64url::encode(&rand_octets()));
    tokens::token(more)
}

fn rand_octets() -> [u8; 8] {
    let mut octets = [0; 8];
    openssl::rand::rand_bytes(&mut octets).expect("OpenSSL makes random octets");
    octets
}

/// What is refused with 401 whatever the time.
fn garbage() -> Vec<String> {
    let texts = tokens::hostile().into_iter().filter(|(name, ..)| *name != "iat of the future");
    texts.filter_map(|(_, octets, _)| String::from_utf8(octets).ok()).collect()
}

fn connectors() -> Vec<Connector> {
    let identities: [Option<&Identity>; 3] = [None, Some(&pki().client_a), Some(&pki().client_b)];
    let mut connectors = Vec::new();
    for (protocol, offer) in [
        ("http/1.1", Offer::None),
        ("http/1.1", Offer::default()),
        ("h2", Offer::None),
        ("h2", Offer::default()),
    ] {
        for one in identities {
            for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
                // A client resumes its own sessions.
                let builder =
                    connector().offer(offer.clone()).tls_version(version).resumption(true).alpn(&[protocol]);
                let builder = match one {
                    Some(one) => builder.identity(identity(one)),
                    None => builder,
                };
                connectors.push(builder.build().expect("a connector"));
            }
        }
    }
    connectors
}

/// A client on its connection.
struct Person<'c> {
    cast: &'c Cast,
    key: Option<usize>,
    certificate: Option<usize>,
    http2: bool,
    opaque: bool,
}

impl Person<'_> {
    fn ask(&self, path: &'static str, status: u16, subject: Option<&str>) -> Ask {
        Ask {
            path,
            message: if self.key.is_some() { Message::Own } else { Message::None },
            fields: Vec::new(),
            hostile: false,
            expected: Expected {
                status,
                provided: self.key.map(|number| id(key_of(number))),
                certificate: self.certificate.map(|number| self.cast.thumbprints[number].clone()),
                subject: subject.map(str::to_owned),
            },
        }
    }

    fn with_token(&self, path: &'static str, status: u16, subject: Option<&str>, token: &str) -> Ask {
        let mut ask = self.ask(path, status, subject);
        ask.fields.push(("authorization", format!("Bearer {token}")));
        ask
    }

    fn honest(&self, dice: &mut Dice) -> Ask {
        let joe = Some("joe");
        match (dice.of(6), self.certificate, self.key) {
            (0, _, _) => self.with_token("/bearer/hello", 200, joe, dice.text(&self.cast.bearer)),
            (1, Some(number), _) => {
                self.with_token("/mtls/hello", 200, joe, dice.text(&self.cast.mtls[number]))
            }
            (2, _, Some(number)) => self.with_token("/tb/hello", 200, joe, dice.text(&self.cast.tb[number])),
            (3, _, _) => {
                let (token, subject) = dice.pick(&self.cast.signed);
                self.with_token("/keys/hello", 200, subject.as_deref(), token)
            }
            // One client alone: a process asks about a few tokens at a time only, and says 503 to others.
            (4, _, _) if self.opaque => {
                let (token, subject) = dice.pick(&self.cast.opaque);
                self.with_token("/opaque/hello", 200, subject.as_deref(), token)
            }
            (5, _, key) => self.ask("/private/hello", if key.is_some() { 200 } else { 403 }, None),
            // A token that nobody has seen before.
            (1, None, _) => self.with_token("/bearer/hello", 200, joe, &lasting(json!({}))),
            _ => self.ask("/hello.txt", 200, None),
        }
    }

    fn hostile(&self, dice: &mut Dice) -> Ask {
        let ask = match self.key {
            Some(_) if dice.of(2) == 0 => self.wrong_message(dice),
            _ => self.wrong_token(dice),
        };
        Ask { hostile: true, ..ask }
    }

    fn wrong_message(&self, dice: &mut Dice) -> Ask {
        let messages = [Message::None, Message::Twice, Message::Forged, Message::Stolen, Message::Garbage];
        let message = *dice.pick(&messages);
        let mut ask = self.with_token("/bearer/hello", 400, None, dice.text(&self.cast.bearer));
        ask.expected.provided = None;
        Ask { message, ..ask }
    }

    fn wrong_token(&self, dice: &mut Dice) -> Ask {
        let cast = self.cast;
        // Whose token it is not.
        let others = |own: Option<usize>| own.map_or(0, |number| 1 - number);
        let refused = |path: &'static str, token: &str| self.with_token(path, 401, None, token);
        match dice.of(8) {
            0 => refused("/mtls/hello", dice.text(&cast.mtls[others(self.certificate)])),
            1 => refused("/bearer/hello", dice.text(&cast.mtls[others(self.certificate)])),
            2 => refused("/tb/hello", dice.text(&cast.tb[others(self.key)])),
            3 => refused("/bearer/hello", dice.text(&cast.tb[others(self.key)])),
            4 => refused(if dice.of(2) == 0 { "/mtls/hello" } else { "/tb/hello" }, dice.text(&cast.bearer)),
            5 => {
                let path = *dice.pick(&["/bearer/hello", "/keys/hello"]);
                refused(path, dice.text(&cast.garbage))
            }
            6 if !self.http2 => self.oversized(dice),
            _ => self.pretending(),
        }
    }

    /// httpd's own limit.
    fn oversized(&self, dice: &mut Dice) -> Ask {
        let mut ask = self.ask("/hello.txt", 400, None);
        ask.fields.push((*dice.pick(&["authorization", "x-large"]), format!("Bearer {}", "A".repeat(9000))));
        ask.expected.provided = None;
        ask
    }

    /// With fields that only the server may set.
    fn pretending(&self) -> Ask {
        let mut ask = self.ask("/hello.txt", 200, None);
        for name in [
            "sec-provided-token-binding-id",
            "sec_provided_token_binding_id",
            "tb_ssl_client_cert_fingerprint",
            "oauth2_claim_sub",
            "client-cert",
        ] {
            ask.fields.push((name, "forged".to_owned()));
        }
        ask
    }
}

impl Visit {
    /// The octets of `Sec-Token-Binding` for a connection with this keying material, to be used as often as one likes.
    pub fn message(&self, ekm: &Ekm) -> Option<String> {
        let key = self.key?;
        Some(tokbind::binding::field_value(key, None, ekm).expect("a message"))
    }
}

impl Ask {
    /// All fields; `own` is the connection's message.
    pub fn fields(&self, cast: &Cast, own: Option<&str>) -> Vec<(&'static str, String)> {
        let own = own.unwrap_or_default();
        let messages = match self.message {
            Message::None => vec![],
            Message::Own => vec![own.to_owned()],
            Message::Twice => vec![own.to_owned(); 2],
            Message::Forged => vec![forged(own)],
            Message::Stolen => {
                let stolen = cast.stolen().filter(|message| message != own);
                vec![stolen.unwrap_or_else(|| forged(own))]
            }
            Message::Garbage => vec!["garbage!".to_owned()],
        };
        let fields = messages.into_iter().map(|value| ("sec-token-binding", value));
        fields.chain(self.fields.iter().cloned()).collect()
    }

    /// Whoever sees a message may try it on a connection of his own.
    pub fn leave_to_thieves(cast: &Cast, message: &str) {
        *cast.stolen.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
    }
}

/// With another bit in the signature: the last octets are the length of the extensions, two zeros.
fn forged(message: &str) -> String {
    let mut octets = base64url::decode(message.as_bytes()).expect("our own");
    let place = octets.len() - 3;
    octets[place] ^= 1;
    base64url::encode(&octets)
}

/// Chance: xorshift64*.
pub struct Dice(u64);

impl Dice {
    pub fn new(number: usize) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
        Self(0x9E37_79B9_7F4A_7C15 ^ (u64::from(time) << 20) ^ (number as u64 + 1))
    }

    /// Less than `sides`.
    pub fn of(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % sides
    }

    pub fn text<'a>(&mut self, from: &'a [String]) -> &'a str {
        self.pick::<String>(from)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.of(from.len())]
    }
}
