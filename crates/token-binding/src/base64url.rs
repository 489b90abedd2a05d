//! base64url without padding (RFC 4648 §5), in its one canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A text that is not canonical unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Base64UrlError {
    /// An octet outside `A-Z a-z 0-9 - _`; line breaks and white space are such octets.
    #[error("octet {octet:#04x} at offset {offset} is not of the base64url alphabet")]
    Alphabet {
        /// Where it stands, in octets from the start.
        offset: usize,
        /// The octet itself.
        octet: u8,
    },
    /// `=` at the end.
    #[error("base64url is padded")]
    Padding,
    /// A number of characters that no octet string encodes to (1 modulo 4).
    #[error("{0} characters cannot be base64url")]
    Length(usize),
    /// The last character has bits set that belong to no octet, so that several texts would mean the same octets.
    #[error("unused bits of the last base64url character are not zero")]
    UnusedBits,
}

/// The base64url text of some octets, without padding.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The octets that a canonical base64url text stands for.
///
/// # Errors
///
/// Whatever is not canonical: [`Base64UrlError`]. RFC 4648 §3.5 lets a decoder insist on zero unused bits;
/// this one does, since one Token Binding message is to have one text.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Base64UrlError> {
    // RFC 8473 §2: no padding, "no line breaks, whitespace, or other additional characters".
    URL_SAFE_NO_PAD.decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(offset, octet) => Base64UrlError::Alphabet { offset, octet },
        base64::DecodeError::InvalidLength(length) => Base64UrlError::Length(length),
        base64::DecodeError::InvalidLastSymbol { .. } => Base64UrlError::UnusedBits,
        base64::DecodeError::InvalidPadding => Base64UrlError::Padding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_canonical() {
        assert_eq!(decode(b"AA=="), Err(Base64UrlError::Padding));
        assert_eq!(decode(b"AAA="), Err(Base64UrlError::Padding));
        assert!(decode(b"AA=").is_err() && decode(b"=").is_err() && decode(b"AA==AAAA").is_err());
        assert_eq!(decode(b"AA+A"), Err(Base64UrlError::Alphabet { offset: 2, octet: b'+' }));
        assert_eq!(decode(b"A/AA"), Err(Base64UrlError::Alphabet { offset: 1, octet: b'/' }));
        assert_eq!(decode(b" AAA"), Err(Base64UrlError::Alphabet { offset: 0, octet: b' ' }));
        assert_eq!(decode(b"AAA\t"), Err(Base64UrlError::Alphabet { offset: 3, octet: b'\t' }));
        assert_eq!(decode(b"AA\r\n"), Err(Base64UrlError::Alphabet { offset: 2, octet: b'\r' }));
        assert_eq!(decode(b"A\0AA"), Err(Base64UrlError::Alphabet { offset: 1, octet: 0 }));
        assert_eq!(decode(b"AAAAA"), Err(Base64UrlError::Length(5)));
        assert_eq!(decode(b"AB"), Err(Base64UrlError::UnusedBits));
        assert_eq!(decode(b"AAB"), Err(Base64UrlError::UnusedBits));
    }

    #[test]
    fn knows_the_whole_alphabet() {
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(decode(b"-__-"), Ok(vec![0xfb, 0xff, 0xfe]));
        assert_eq!(decode(b""), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn round_trip(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(encode(&octets).as_bytes()), Ok(octets));
        }

        #[test]
        fn one_text_for_one_value(text in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(octets) = decode(&text) {
                prop_assert_eq!(encode(&octets).into_bytes(), text);
            }
        }
    }
}
