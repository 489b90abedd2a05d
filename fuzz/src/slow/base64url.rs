//! RFC 4648 §5 without padding, bit by bit.

/// The octets of a text, if it is the one text that stands for them.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    from_bits(text, b'-', b'_')
}

/// The octets of a padded text of the standard alphabet (RFC 4648 §4).
pub fn decode_padded(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|octet| **octet == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    from_bits(&text[..text.len() - padding], b'+', b'/')
}

fn value_of(letter: u8, sixty_two: u8, sixty_three: u8) -> Option<u32> {
    match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        _ if letter == sixty_two => Some(62),
        _ if letter == sixty_three => Some(63),
        _ => None,
    }
}

fn from_bits(text: &[u8], sixty_two: u8, sixty_three: u8) -> Option<Vec<u8>> {
    // what is not an octet yet, and how many bits that is
    let (mut bits, mut count, mut octets) = (0, 0, Vec::new());
    for letter in text {
        bits = bits * 64 + value_of(*letter, sixty_two, sixty_three)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
            bits %= 1 << count;
        }
    }
    // what is left over after the last octet is less than a letter, and zero
    (count < 6 && bits == 0).then_some(octets)
}

/// The text of some octets.
pub fn encode(octets: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |at: usize| {
        let bit = |bit: usize| octets.get(bit / 8).map_or(0, |octet| usize::from(octet >> (7 - bit % 8) & 1));
        char::from(ALPHABET[(at..at + 6).fold(0, |sum, place| sum * 2 + bit(place))])
    };
    (0..octets.len() * 8).step_by(6).map(letter).collect()
}
