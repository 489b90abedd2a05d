//! RFC 9110 §11.6.1: a challenge with its parameters, all of them quoted strings.

/// Names and values.
pub type Parameters = Vec<(String, Vec<u8>)>;

/// Scheme and parameters; `None` for everything that is not exactly one such challenge.
pub fn parse(value: &[u8]) -> Option<(String, Parameters)> {
    let blank = value.iter().position(|octet| *octet == b' ')?;
    let (scheme, mut rest) = (token(&value[..blank])?, &value[blank + 1..]);
    let mut parameters = Vec::new();
    loop {
        let equals = rest.iter().position(|octet| *octet == b'=')?;
        let name = token(&rest[..equals])?;
        let (text, after) = quoted(&rest[equals + 1..])?;
        parameters.push((name, text));
        match after {
            [] => return Some((scheme, parameters)),
            [b',', b' ', more @ ..] => rest = more,
            _ => return None,
        }
    }
}

fn token(octets: &[u8]) -> Option<String> {
    let fits = !octets.is_empty() && octets.iter().all(|o| o.is_ascii_alphanumeric() || *o == b'_');
    fits.then(|| String::from_utf8_lossy(octets).into_owned())
}

/// RFC 9110 §5.6.4.
fn quoted(octets: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let [b'"', rest @ ..] = octets else { return None };
    let (mut text, mut at) = (Vec::new(), 0);
    loop {
        match rest.get(at)? {
            b'"' => return Some((text, &rest[at + 1..])),
            b'\\' => {
                text.push(*rest.get(at + 1)?);
                at += 2;
            }
            octet if *octet == b'\t' || *octet >= 0x20 && *octet != 0x7f => {
                text.push(*octet);
                at += 1;
            }
            _ => return None,
        }
    }
}
