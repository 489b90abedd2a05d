//! RFC 4648 §5 without padding, bit by bit.

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// RFC 4648 §4.
const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The octets of a text, if it is the one text that stands for them.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    from_bits(text, ALPHABET)
}

/// The octets of a padded text of the standard alphabet.
pub fn decode_padded(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|octet| **octet == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    from_bits(&text[..text.len() - padding], STANDARD)
}

fn from_bits(text: &[u8], alphabet: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for character in text {
        let value = alphabet.bytes().position(|letter| letter == *character)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    // what is left over after the last octet is less than a character, and zero
    let (whole, left) = bits.split_at(bits.len() / 8 * 8);
    if left.len() >= 6 || left.contains(&1) {
        return None;
    }
    Some(whole.chunks(8).map(|octet| octet.iter().fold(0, |sum, bit| sum << 1 | *bit as u8)).collect())
}

/// The text of some octets.
pub fn encode(octets: &[u8]) -> String {
    let bits: Vec<_> =
        octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1)).collect();
    let letter = |six: &[u8]| {
        let value = (0..6).fold(0, |sum, at| sum << 1 | usize::from(six.get(at).copied().unwrap_or(0)));
        char::from(ALPHABET.as_bytes()[value])
    };
    bits.chunks(6).map(letter).collect()
}
