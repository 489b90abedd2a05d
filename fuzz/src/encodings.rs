//! base64url, form encoding, `Token-Binding-Context` and RFC 9440: there and back, and as a slow decoder sees it.

use sender_constraint::{client_cert_header, form};
use token_binding::{KeyParameters, TokenBindingContext, base64url};

use crate::{fit_for_a_header, slow};

/// The same octets as a text to decode and as octets to encode.
pub fn run(data: &[u8]) {
    assert_eq!(base64url::decode(data).ok(), slow::base64url::decode(data));
    let text = base64url::encode(data);
    assert_eq!(text, slow::base64url::encode(data));
    assert_eq!(base64url::decode(text.as_bytes()).as_deref(), Ok(data));
    forms(data);
    context(data);
    context(text.as_bytes());
    certificates(data);
}

fn forms(data: &[u8]) {
    assert_eq!(form::decode(data).ok(), slow::form::decode(data));
    let pairs: Vec<_> = form::pairs(data).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(pairs, slow::form::pairs(data));
    let text = String::from_utf8_lossy(data);
    let encoded = form::encode(&text);
    fit_for_a_header(encoded.as_bytes());
    assert!(!encoded.bytes().any(|octet| b"&=+ ".contains(&octet)), "{encoded}");
    let decoded = slow::form::decode(encoded.as_bytes());
    assert_eq!(decoded, (!text.contains('\0')).then(|| text.as_bytes().to_vec()));
}

/// draft-campbell-tokbind-tls-term §2.
fn context(value: &[u8]) {
    let theirs = slow::base64url::decode(value).filter(|octets| octets.len() == 35 && octets[2] < 3);
    let ours = TokenBindingContext::decode(value).ok();
    assert_eq!(ours.is_some(), theirs.is_some());
    if let (Some((negotiated, ekm)), Some(octets)) = (ours, theirs) {
        assert_eq!([negotiated.version.major, negotiated.version.minor], octets[..2]);
        assert_eq!(Some(negotiated.key_parameters), KeyParameters::from_code(octets[2]));
        assert_eq!(ekm.as_bytes()[..], octets[3..]);
        assert_eq!(TokenBindingContext::encode(&negotiated, &ekm).as_bytes(), value);
    }
}

/// RFC 9440 §2: the input, cut at zero octets, as a chain.
fn certificates(data: &[u8]) {
    let chain: Vec<_> = data.split(|octet| *octet == 0).collect();
    let single = client_cert_header::client_cert(data);
    assert_eq!(byte_sequence(&single).as_deref(), Some(data));
    let listed = client_cert_header::client_cert_chain(chain.iter().copied()).expect("never empty");
    fit_for_a_header(listed.as_bytes());
    let read: Option<Vec<_>> = listed.split(", ").map(byte_sequence).collect();
    assert_eq!(read, Some(chain.iter().map(|der| der.to_vec()).collect()));
}

/// RFC 9651 §4.2.7.
fn byte_sequence(text: &str) -> Option<Vec<u8>> {
    slow::base64url::decode_padded(text.strip_prefix(':')?.strip_suffix(':')?.as_bytes())
}
