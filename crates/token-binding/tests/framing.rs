//! What the encoder writes the parser reads, whole and in no other way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use proptest::prelude::*;
use token_binding::{MessageBuilder, TokenBindingMessage};

/// An ID of unknown key parameters, whose key may be any octets.
fn unknown_id(key: &[u8]) -> Vec<u8> {
    [&[99, 0, u8::try_from(key.len()).unwrap()], key].concat()
}

type Parts = (u8, Vec<u8>, Vec<u8>, Vec<(u8, Vec<u8>)>);

fn parts() -> impl Strategy<Value = Parts> {
    let octets = |range| proptest::collection::vec(any::<u8>(), range);
    let extensions = proptest::collection::vec((any::<u8>(), octets(0..9)), 0..4);
    (any::<u8>(), octets(61..90), octets(64..90), extensions)
}

proptest! {
    #[test]
    fn what_is_built_is_read(list in proptest::collection::vec(parts(), 1..6)) {
        let mut builder = MessageBuilder::new();
        for (code, key, signature, extensions) in &list {
            let octets: Vec<u8> = extensions
                .iter()
                .flat_map(|(code, data)| [&[*code, 0, u8::try_from(data.len()).unwrap()], &data[..]].concat())
                .collect();
            builder.push(*code, &unknown_id(key), signature, &octets).unwrap();
        }
        let octets = builder.to_bytes().unwrap();
        let message = TokenBindingMessage::parse(&octets).unwrap();
        prop_assert_eq!(message.bindings().len(), list.len());
        for (binding, (code, key, signature, extensions)) in message.bindings().iter().zip(&list) {
            prop_assert_eq!(binding.token_binding_type.code(), *code);
            prop_assert_eq!(binding.id.as_bytes(), unknown_id(key));
            prop_assert_eq!(binding.signature, &signature[..]);
            let read: Vec<_> = binding.extensions.map(|e| (e.extension_type, e.data.to_vec())).collect();
            prop_assert_eq!(&read, extensions);
        }
        for end in 0..octets.len() {
            prop_assert!(TokenBindingMessage::parse(&octets[..end]).is_err());
        }
        prop_assert!(TokenBindingMessage::parse(&[&octets[..], &[0]].concat()).is_err());
    }

    #[test]
    fn nothing_panics(mut octets in proptest::collection::vec(0..4_u8, 134..400)) {
        let _ = TokenBindingMessage::parse(&octets);
        let length = u16::try_from(octets.len() - 2).unwrap().to_be_bytes();
        octets[..2].copy_from_slice(&length);
        if let Ok(message) = TokenBindingMessage::parse(&octets) {
            for binding in message.bindings() {
                let _ = (binding.public_key(), binding.extensions.count());
            }
        }
    }
}
