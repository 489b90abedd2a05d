//! What holds for every message: a genuine one is accepted in one place only, and no change to it goes unnoticed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use openssl::error::ErrorStack;
use proptest::prelude::*;
use std::sync::LazyLock;
use token_binding::KeyParameters::{self, EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
use token_binding::{
    Ekm, KeyPair, MessageBuilder, Negotiated, ProtocolVersion, Rejection, TokenBindingContext, base64url,
    ttrp, verify,
};

const ALL: [KeyParameters; 3] = [Rsa2048Pkcs1_5, Rsa2048Pss, EcdsaP256];

static KEYS: LazyLock<[KeyPair; 3]> = LazyLock::new(|| ALL.map(|each| KeyPair::generate(each).unwrap()));

fn key(key_parameters: KeyParameters) -> &'static KeyPair {
    &KEYS[usize::from(key_parameters.code())]
}

fn negotiated(key_parameters: KeyParameters) -> Negotiated {
    Negotiated { version: ProtocolVersion::V1_0, key_parameters }
}

fn ekm() -> Ekm {
    Ekm::new([0x5a; 32])
}

fn message(bindings: &[(u8, KeyParameters)], ekm: &Ekm) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for &(code, key_parameters) in bindings {
        let key = key(key_parameters);
        builder.push(code, &key.id(), &key.sign(code, ekm).unwrap(), &[]).unwrap();
    }
    builder.to_bytes().unwrap()
}

fn judge(message: &[u8], key_parameters: KeyParameters) -> Result<token_binding::Verified, Rejection> {
    verify(base64url::encode(message).as_bytes(), &negotiated(key_parameters), &ekm())
}

#[test]
fn our_own_messages_are_accepted() {
    for provided in ALL {
        for referred in ALL {
            let verified =
                judge(&message(&[(0, provided), (1, referred), (200, referred)], &ekm()), provided);
            let verified = verified.unwrap();
            assert_eq!(verified.provided.as_id().as_bytes(), key(provided).id());
            assert_eq!(verified.referred.unwrap().as_id().as_bytes(), key(referred).id());
            assert_eq!(verified.other[0].1.as_id().as_bytes(), key(referred).id());
            let expected = format!("c8.{}", base64url::encode(&key(referred).id()));
            assert_eq!(ttrp::other_header_value(&verified.other), Some(expected));
        }
    }
    assert_eq!(ttrp::other_header_value(&[]), None);
}

#[test]
fn no_change_of_a_bit_goes_unnoticed() {
    for key_parameters in ALL {
        let genuine = message(&[(0, key_parameters)], &ekm());
        assert!(judge(&genuine, key_parameters).is_ok());
        for bit in 0..genuine.len() * 8 {
            let mut changed = genuine.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(judge(&changed, key_parameters).is_err(), "{key_parameters}: bit {bit}");
        }
    }
    assert!(ErrorStack::get().errors().is_empty());
}

#[test]
fn no_change_of_length_goes_unnoticed() {
    let genuine = message(&[(0, EcdsaP256), (1, Rsa2048Pss)], &ekm());
    for end in 0..genuine.len() {
        assert!(judge(&genuine[..end], EcdsaP256).is_err());
        let mut shortened = genuine.clone();
        shortened.remove(end);
        assert!(judge(&shortened, EcdsaP256).is_err(), "without octet {end}");
        let mut lengthened = genuine.clone();
        lengthened.insert(end, 0);
        assert!(judge(&lengthened, EcdsaP256).is_err(), "octet before {end}");
    }
}

#[test]
fn a_message_serves_its_connection_only() {
    let genuine = base64url::encode(&message(&[(0, EcdsaP256)], &ekm()));
    for bit in 0..256 {
        let mut octets = *ekm().as_bytes();
        octets[bit / 8] ^= 1 << (bit % 8);
        let other = verify(genuine.as_bytes(), &negotiated(EcdsaP256), &Ekm::new(octets));
        assert_eq!(other, Err(Rejection::InvalidSignature));
    }
}

#[test]
fn a_backend_judges_like_its_proxy() {
    let value = TokenBindingContext::encode(&negotiated(Rsa2048Pss), &ekm());
    let (negotiated, ekm) = TokenBindingContext::decode(value.as_bytes()).unwrap();
    let field_value = base64url::encode(&message(&[(0, Rsa2048Pss)], &ekm));
    assert!(verify(field_value.as_bytes(), &negotiated, &ekm).is_ok());
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_is_accepted(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(judge(&octets, EcdsaP256).is_err());
        prop_assert!(verify(&octets, &negotiated(Rsa2048Pss), &ekm()).is_err());
        let _ = TokenBindingContext::decode(&octets);
    }

    #[test]
    fn no_rubble_is_accepted(
        at in 0..526_usize,
        rubble in proptest::collection::vec(any::<u8>(), 1..20),
        index in 0..3_usize,
    ) {
        let genuine = message(&[(0, ALL[index])], &ekm());
        let mut changed = genuine.clone();
        let at = at % changed.len();
        for (octet, new) in changed[at..].iter_mut().zip(&rubble) {
            *octet = *new;
        }
        prop_assert_eq!(judge(&changed, ALL[index]).is_ok(), changed == genuine);
    }
}
