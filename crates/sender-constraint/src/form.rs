//! `application/x-www-form-urlencoded`: names and values of queries, forms, option strings and introspection requests.

/// A `%` that two hexadecimal digits do not follow, or that stands for NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed percent-encoding")]
pub struct MalformedEncoding;

/// The `name=value` pairs of a form, still encoded. Empty ones (`&&`) are left out; a name without `=` has an empty value.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|octet| *octet == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |octet| *octet == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

/// Undoes form encoding: `+` is a blank, `%XX` an octet.
///
/// # Errors
///
/// [`MalformedEncoding`]; `%00` is refused because what comes out ends up in C strings.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, MalformedEncoding> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) if high | low != 0 => high << 4 | low,
                _ => return Err(MalformedEncoding),
            },
            other => *other,
        });
    }
    Ok(octets)
}

fn hex_digit(octet: &u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// Appends one pair to a form that is being made.
pub fn append(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    encode_into(form, name);
    form.push('=');
    encode_into(form, value);
}

/// The form encoding of a text. A blank becomes `%20`, which every decoder understands, not `+`.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode_into(&mut encoded, text);
    encoded
}

fn encode_into(form: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            form.push(char::from(octet));
        } else {
            form.push('%');
            form.extend(
                [octet >> 4, octet & 15].into_iter().filter_map(|digit| DIGITS.get(usize::from(digit))),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_pairs() {
        let form = b"a=1&&b=&c&d=x=y&=z";
        let found: Vec<_> = pairs(form).collect();
        let expected: Vec<(&[u8], &[u8])> =
            vec![(b"a", b"1"), (b"b", b""), (b"c", b""), (b"d", b"x=y"), (b"", b"z")];
        assert_eq!(found, expected);
    }

    #[test]
    fn decodes_or_refuses() {
        assert_eq!(decode(b"s%26%3D+x"), Ok(b"s&= x".to_vec()));
        for text in ["%", "%1", "%zz", "%00", "a%0"] {
            assert_eq!(decode(text.as_bytes()), Err(MalformedEncoding), "{text}");
        }
    }

    #[test]
    fn encodes_what_could_be_misread() {
        let mut form = String::new();
        append(&mut form, "client secret", "s&=+ %\u{e9}");
        assert_eq!(form, "client%20secret=s%26%3D%2B%20%25%C3%A9");
    }

    proptest! {
        #[test]
        fn round_trip(text in "[^\0]*") {
            prop_assert_eq!(decode(encode(&text).as_bytes()), Ok(text.into_bytes()));
        }
    }
}
