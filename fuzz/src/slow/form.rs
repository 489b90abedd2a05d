//! `application/x-www-form-urlencoded`, read from the end of each pair to its beginning.

/// One decoded text; `None` for a malformed escape or NUL.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            if octet == 0 {
                return None;
            }
            octets.push(octet);
            at += 3;
        } else {
            octets.push(if text[at] == b'+' { b' ' } else { text[at] });
            at += 1;
        }
    }
    Some(octets)
}

/// Names and values, encoded.
pub fn pairs(form: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in (0..=form.len()).filter(|at| *at == form.len() || form[*at] == b'&') {
        let pair = &form[start..end];
        start = end + 1;
        if !pair.is_empty() {
            let equals = pair.iter().position(|octet| *octet == b'=');
            let name = &pair[..equals.unwrap_or(pair.len())];
            let value = equals.map_or(&[][..], |equals| &pair[equals + 1..]);
            found.push((name.to_vec(), value.to_vec()));
        }
    }
    found
}
