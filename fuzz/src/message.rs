//! `Sec-Token-Binding` and the Token Binding message: our parser and a slow one agree on every input.

use token_binding::{MessageBuilder, PublicKey, TokenBindingMessage, parse_field_value};

use crate::slow;

/// The same octets as a message, and as the value of the field.
pub fn run(data: &[u8]) {
    let ours = TokenBindingMessage::parse(data).ok();
    let theirs = slow::message::parse(data);
    assert_eq!(ours.is_some(), theirs.is_some(), "one accepts and one refuses");
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        same(&ours, &theirs);
        again(data, &theirs);
    }
    // RFC 8473 §2: one field, base64url; a comma or a blank comes from two fields
    let acceptable = !data.is_empty() && !data.iter().any(|octet| matches!(octet, b',' | b' '));
    let octets = if acceptable { slow::base64url::decode(data) } else { None };
    assert_eq!(parse_field_value(data).ok(), octets);
}

fn same(ours: &TokenBindingMessage<'_>, theirs: &[slow::message::Binding]) {
    assert_eq!(ours.bindings().len(), theirs.len());
    for (one, two) in ours.bindings().iter().zip(theirs) {
        assert_eq!(one.token_binding_type.code(), two.kind);
        assert_eq!(one.id.as_bytes(), two.id);
        assert_eq!(one.key_parameters().map_or_else(|code| code, |known| known.code()), two.key_parameters);
        assert_eq!(one.signature, two.signature);
        let extensions: Vec<_> = one.extensions.map(|one| (one.extension_type, one.data.to_vec())).collect();
        assert_eq!(extensions, two.extensions);
        let key = match one.public_key() {
            PublicKey::Rsa { modulus, public_exponent } => {
                slow::message::Key::Rsa(modulus.to_vec(), public_exponent.to_vec())
            }
            PublicKey::EcPoint(point) => slow::message::Key::Point(point.to_vec()),
            PublicKey::Unknown(octets) => slow::message::Key::Other(octets.to_vec()),
        };
        assert_eq!(key, two.key);
    }
}

/// There is one way to write a message: what was read is written with the same octets.
fn again(data: &[u8], bindings: &[slow::message::Binding]) {
    let mut builder = MessageBuilder::new();
    for binding in bindings {
        let extension = |(kind, data): &(u8, Vec<u8>)| {
            [&[*kind, (data.len() >> 8) as u8, data.len() as u8][..], data].concat()
        };
        let extensions: Vec<_> = binding.extensions.iter().flat_map(extension).collect();
        builder.push(binding.kind, &binding.id, &binding.signature, &extensions).expect("fits");
    }
    assert_eq!(builder.to_bytes().expect("fits"), data);
}
