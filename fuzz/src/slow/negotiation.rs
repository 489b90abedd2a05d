//! RFC 8472 §2 to §4, and what CGI makes of a header's name.

/// Version and identifiers of an `extension_data`.
pub fn parse(extension_data: &[u8]) -> Option<((u8, u8), Vec<u8>)> {
    match extension_data {
        [major, minor, length, list @ ..] if *length > 0 && list.len() == usize::from(*length) => {
            Some(((*major, *minor), list.to_vec()))
        }
        _ => None,
    }
}

/// What a server of version 1.0 that prefers these key parameters answers, if it answers.
pub fn answer(
    version: (u8, u8),
    offered: &[u8],
    preferred: &[u8],
    tls13: bool,
    both_extensions: bool,
    early_data: bool,
) -> Option<u8> {
    let sound = (tls13 || both_extensions) && !early_data;
    // versions before 1.0 are 0.x
    if version.0 == 0 || !sound {
        return None;
    }
    preferred.iter().copied().find(|code| offered.contains(code))
}

/// RFC 3875 §4.1.18, as generous as its implementations.
pub fn cgi_name(field: &[u8]) -> String {
    field
        .iter()
        .map(|o| if o.is_ascii_alphanumeric() { o.to_ascii_uppercase() as char } else { '_' })
        .collect()
}
