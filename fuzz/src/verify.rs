//! Verification: a model that knows which signatures were ever made says which messages must be accepted, and what comes
//! out of them. Every other message must be refused.

use token_binding::{
    MAX_SIGNATURE_CHECKS, MessageBuilder, Negotiated, ProtocolVersion, Verified, base64url, ttrp, verify,
};

use crate::input::Choices;
use crate::{fit_for_a_header, keys, nothing_left_in_openssl, slow};

/// A genuine message with one thing wrong with it or none; or any octets as the value of the field.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (scheme, connection) = (choices.below(3), choices.below(2));
    let field_value = if choices.rarely(4) { choices.rest().to_vec() } else { field_value(&mut choices) };
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: keys::SCHEMES[scheme] };
    let ours = verify(&field_value, &negotiated, &keys::ekm(connection));
    nothing_left_in_openssl();
    match (ours, expected(&field_value, scheme as u8, connection)) {
        (Ok(ours), Some(theirs)) => same(&ours, &theirs),
        (Err(_), None) => (),
        (Ok(_), None) => panic!("accepted and should be refused"),
        (Err(rejection), Some(_)) => panic!("refused and should be accepted: {rejection}"),
    }
}

/// A value made of genuine signatures, each perhaps for something else, and then perhaps changed.
pub fn field_value(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut message = message(choices);
    if choices.rarely(2) {
        choices.change(&mut message);
    }
    let mut value = base64url::encode(&message).into_bytes();
    if choices.rarely(4) {
        choices.change(&mut value);
    }
    value
}

fn message(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for _ in 0..=choices.below(11) {
        let (scheme, key, kind) = (choices.below(3), choices.below(2), *choices.one(&keys::TYPES));
        let mut made_for = (scheme, key, kind, choices.below(2));
        let mut id = keys::pair(scheme, key).id();
        // mostly as it should be
        match choices.below(16) {
            10 => made_for.0 = choices.below(3),
            11 => made_for.1 = choices.below(2),
            12 => made_for.2 = *choices.one(&keys::TYPES),
            13 => choices.change(&mut id),
            14 => id[0] = choices.octet(),
            _ => (),
        }
        let mut signature = keys::SIGNATURES[&made_for].clone();
        let extensions: &[u8] = match choices.below(8) {
            5 => &[77, 0, 2, 1, 2, 78, 0, 0],
            6 => choices.some(),
            7 => {
                choices.change(&mut signature);
                &[]
            }
            _ => &[],
        };
        builder.push(kind, &id, &signature, extensions).expect("fits");
    }
    builder.to_bytes().unwrap_or_default()
}

/// Type and ID of each binding that must come out.
type Exposed = Vec<(u8, Vec<u8>)>;

/// RFC 8471 §4.2 and RFC 8473 §2, with the record of all signatures in place of arithmetic.
pub fn expected(field_value: &[u8], scheme: u8, connection: usize) -> Option<Exposed> {
    let octets = slow::base64url::decode(field_value).filter(|octets| !octets.is_empty())?;
    let bindings = slow::message::parse(&octets)?;
    let of_kind = |kind| bindings.iter().filter(move |binding| binding.kind == kind);
    let known: Vec<_> = bindings.iter().filter(|binding| binding.key_parameters < 3).collect();
    let sound = of_kind(0).count() == 1
        && of_kind(0).all(|provided| provided.key_parameters == scheme)
        && of_kind(1).count() <= 1
        && known.len() <= MAX_SIGNATURE_CHECKS
        && known.iter().all(|one| keys::is_genuine(&one.id, one.kind, connection, &one.signature));
    sound.then(|| known.iter().map(|one| (one.kind, one.id.clone())).collect())
}

fn same(ours: &Verified, theirs: &Exposed) {
    let of_kind = |kind| theirs.iter().find(|(given, _)| *given == kind).map(|(_, id)| id.as_slice());
    assert_eq!(Some(ours.provided.as_id().as_bytes()), of_kind(0));
    assert_eq!(ours.referred.as_ref().map(|id| id.as_id().as_bytes()), of_kind(1));
    let other: Vec<_> = theirs.iter().filter(|(kind, _)| *kind > 1).cloned().collect();
    let found: Vec<_> = ours.other.iter().map(|(kind, id)| (*kind, id.as_id().as_bytes().to_vec())).collect();
    assert_eq!(found, other);
    headers(ours, &other);
}

/// draft-ietf-tokbind-ttrp §2.1: what a backend reads is what was verified.
fn headers(ours: &Verified, other: &Exposed) {
    let id = ours.provided.to_base64url();
    fit_for_a_header(id.as_bytes());
    assert_eq!(slow::base64url::decode(id.as_bytes()).as_deref(), Some(ours.provided.as_id().as_bytes()));
    let value = ttrp::other_header_value(&ours.other);
    assert_eq!(value.is_none(), other.is_empty());
    let read = |one: &str| {
        let (kind, id) = one.split_once('.').expect("type and ID");
        let id = slow::base64url::decode(id.as_bytes()).expect("base64url");
        (u8::from_str_radix(kind, 16).expect("hexadecimal"), id)
    };
    assert_eq!(&value.iter().flat_map(|value| value.split(',')).map(read).collect::<Exposed>(), other);
}
