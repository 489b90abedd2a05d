//! A whole request: message, proofs, token, decision. A model knows each token that was made and each connection; it says
//! which requests may go on. Steps share one memory, so that what was remembered of one request meets the next.

use std::sync::{Arc, LazyLock};

use sender_constraint::cnf::Proofs;
use sender_constraint::decision::{Policy, Verifiers, authenticate};
use sender_constraint::target::TargetSettings;
use sender_constraint::thumbprint::Thumbprint;
use sender_constraint::token_source::{Request, TokenSources};
use sender_constraint::verifier::Verifier;
use sender_constraint::verifier_config::VerifierConfig;
use serde_json::json;
use token_binding::{MessageBuilder, Negotiated, ProtocolVersion, TokenBindingHash, Verified, verify};

use crate::input::Choices;
use crate::world::{Mood, World};
use crate::{fit_for_a_header, jwks, jwt, keys, nothing_left_in_openssl};

/// Who made a token, and which verifier takes it: bearer, mtls required, token-binding optional and introspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Secret,
    Ec,
    Opaque,
    Stranger,
}

/// A token that was made, and what is true of it.
struct Made {
    text: String,
    maker: Maker,
    exp: i64,
    /// The certificate and the key that it is bound to, by number; `NOBODY` for a value that no connection has.
    certificate: Option<usize>,
    key: Option<usize>,
    /// Bound in a way that cannot be checked here.
    uncheckable: bool,
}

const NOBODY: usize = 9;

fn verifier(kind: &str, value: &str, options: &str) -> Arc<Verifier> {
    let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let (config, _) = VerifierConfig::parse(kind, value, options.as_bytes(), &read).expect("sound");
    Arc::new(Verifier::new(config))
}

/// Verifiers with keys in the configuration remember nothing by themselves.
static BEARER: LazyLock<Arc<Verifier>> = LazyLock::new(|| verifier("plain", keys::SECRET, ""));
static MTLS: LazyLock<Arc<Verifier>> =
    LazyLock::new(|| verifier("jwk", &jwks::JWKS[1].to_string(), "type=mtls"));

/// The parts of the site: all three verifiers, and the first two of them in the other order.
fn sites() -> [Verifiers; 2] {
    let options = "type=token-binding&token-binding.policy=optional";
    let introspecting = verifier("introspect", "https://as.example/introspect", options);
    let all = vec![Arc::clone(&BEARER), Arc::clone(&MTLS), introspecting];
    [Verifiers::new(all), Verifiers::new(vec![Arc::clone(&MTLS), Arc::clone(&BEARER)])]
}

/// A series of requests.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let world = World::default();
    let sites = sites();
    let mut troubled = false;
    let tokens: Vec<_> = (0..=choices.below(3)).map(|_| token(&mut choices, &world)).collect();
    for _ in 0..=choices.below(6) {
        world.pass([0, 0, 1, 9, 10, 299, 300, 4000][choices.below(8)]);
        world.mood.set([Mood::Well, Mood::Well, Mood::Away, Mood::Confused][choices.below(4)]);
        troubled |= world.mood.get() != Mood::Well;
        step(&mut choices, &world, &sites, &tokens, troubled);
        nothing_left_in_openssl();
    }
}

fn token(choices: &mut Choices<'_>, world: &World) -> Made {
    let maker = *choices.one(&[Maker::Secret, Maker::Ec, Maker::Opaque, Maker::Stranger]);
    let exp = crate::world::START + [1, 10, 300, 3600, 0, -1][choices.below(6)];
    let certificate = [None, Some(0), Some(1), Some(NOBODY)][choices.below(4)];
    let key = [None, Some(0), Some(1), Some(NOBODY)][choices.below(4)];
    let uncheckable = choices.rarely(8);
    let mut claims = json!({"sub": "joe", "exp": exp, "more": choices.text()});
    if let Some(number) = certificate {
        claims["cnf"]["x5t#S256"] = thumbprint(number).to_base64url().into();
    }
    if let Some(number) = key {
        claims["cnf"]["tbh"] = TokenBindingHash::of(&id(number)).to_base64url().into();
    }
    if uncheckable {
        let odd = [json!({"jkt": "x"}), json!(null), json!({"tbh": 1}), json!([]), json!("x"), json!({})];
        claims["cnf"] = choices.one(&odd).clone();
    }
    let text = match maker {
        Maker::Secret => jwt::sign(0, br#"{"alg":"HS256"}"#, claims.to_string().as_bytes()),
        Maker::Ec => jwt::sign(1, br#"{"alg":"ES256"}"#, claims.to_string().as_bytes()),
        Maker::Stranger => jwt::sign(2, br#"{"alg":"ES256"}"#, claims.to_string().as_bytes()),
        Maker::Opaque => {
            let text = format!("opaque{}", world.opaque.borrow().len());
            claims["active"] = true.into();
            world.opaque.borrow_mut().insert(text.clone(), claims.to_string());
            text
        }
    };
    Made { text, maker, exp, certificate, key, uncheckable }
}

fn thumbprint(number: usize) -> Thumbprint {
    Thumbprint::of_der(&[number as u8])
}

fn id(number: usize) -> Vec<u8> {
    if number == NOBODY { b"nobody's".to_vec() } else { keys::pair(2, number).id() }
}

/// A request in which the token stands in `Authorization`.
struct Bearer(Vec<u8>);

impl Request for Bearer {
    fn header(&self, name: &std::ffi::CStr) -> Option<&[u8]> {
        name.to_bytes().eq_ignore_ascii_case(b"Authorization").then_some(&self.0)
    }

    fn environment(&self, _: &std::ffi::CStr) -> Option<&[u8]> {
        None
    }

    fn query(&self) -> Option<&[u8]> {
        None
    }

    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn form_body(&self) -> Result<&[u8], &'static str> {
        Err("none")
    }
}

/// What a client proves with a message: the key of this number, on this connection, unless it fails.
fn bound(choices: &mut Choices<'_>) -> (Option<Verified>, Option<usize>) {
    let (number, made_on, connection) = (choices.below(2), choices.below(2), choices.below(2));
    let referred = choices.rarely(2);
    let mut builder = MessageBuilder::new();
    let kinds: &[u8] = if referred { &[0, 1] } else { &[0] };
    for kind in kinds {
        // the referred one is the other key, which proves nothing about the sender
        let key = if *kind == 0 { number } else { 1 - number };
        let signature = &keys::SIGNATURES[&(2, key, *kind, made_on)];
        builder.push(*kind, &keys::pair(2, key).id(), signature, &[]).expect("fits");
    }
    let value = builder.to_field_value().expect("fits");
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: keys::SCHEMES[2] };
    let verified = verify(value.as_bytes(), &negotiated, &keys::ekm(connection)).ok();
    assert_eq!(verified.is_some(), made_on == connection);
    let proven = verified.is_some().then_some(number);
    (verified, proven)
}

fn step(choices: &mut Choices<'_>, world: &World, sites: &[Verifiers; 2], tokens: &[Made], troubled: bool) {
    let (made, site) = (choices.one(tokens), choices.below(2));
    let mut text = made.text.clone().into_bytes();
    if choices.rarely(4) {
        choices.change(&mut text);
    }
    let certificate = [None, Some(0), Some(1)][choices.below(3)];
    let (verified, key) = if choices.rarely(2) { bound(choices) } else { (None, None) };
    let hash = verified.map(|verified| verified.provided.hash());
    let print = certificate.map(thumbprint);
    let proofs = Proofs { certificate: print.as_ref(), token_binding: hash.as_ref() };
    let (sources, target) = (TokenSources::default(), Arc::new(TargetSettings::default()));
    let policy = Policy { sources: &sources, verifiers: &sites[site], target: &target };
    let result = authenticate(&policy, &Bearer([b"Bearer ", &text[..]].concat()), &proofs, world);
    // blanks around a token are not part of it
    let expected = tokens.iter().find(|made| made.text.as_bytes() == text.trim_ascii()).is_some_and(|made| {
        may_go_on(made, site, sender_constraint::services::Services::now(world), certificate, key)
    });
    match result {
        Ok(authenticated) => {
            assert!(expected, "went on and should not have");
            let passed = &authenticated.accepted.passed;
            assert_eq!(passed.user.to_bytes(), b"joe");
            passed.pairs.iter().for_each(|(_, value)| fit_for_a_header(value.to_bytes()));
            let bound = authenticated.bound;
            assert_eq!(
                [bound.certificate, bound.token_binding],
                [made.certificate.is_some(), made.key.is_some()]
            );
        }
        Err(refused) => {
            assert!(!expected || troubled, "refused and should have gone on: {refused}");
            fit_for_a_header(refused.to_string().as_bytes());
        }
    }
}

/// RFC 6750, RFC 8705 §3 and draft-ietf-oauth-token-binding §3 in one line each.
fn may_go_on(made: &Made, site: usize, now: i64, certificate: Option<usize>, key: Option<usize>) -> bool {
    let verifier = match made.maker {
        Maker::Secret => true,
        // type=mtls demands a bound token
        Maker::Ec => made.certificate.is_some(),
        Maker::Opaque => site == 0,
        Maker::Stranger => false,
    };
    let holds = |wanted: Option<usize>, proven| wanted.is_none() || wanted == proven;
    verifier
        && now < made.exp
        && !made.uncheckable
        && holds(made.certificate, certificate)
        && holds(made.key, key)
}
