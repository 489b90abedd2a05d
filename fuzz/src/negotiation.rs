//! The TLS extension, the names that are reserved, and what a request without a message gets.

use token_binding::pass::Pass;
use token_binding::request::{Arrival, Missing, Step, first_step};
use token_binding::reserved::{self, Field, classify};
use token_binding::{ClientOffer, Handshake, KeyParameters, Preference, accept, negotiate, offer};

use crate::input::Choices;
use crate::{keys, slow};

/// Settings of a handshake, and any octets as extension, as answer, as the name of a header.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let flags = choices.octet();
    let list: Vec<_> = (0..=choices.below(4)).map(|_| *choices.one(&keys::SCHEMES)).collect();
    let preference = Preference::new(&list).ok();
    let octets = choices.rest();
    let handshake = Handshake {
        tls13: flags & 1 != 0,
        extended_master_secret: flags & 2 != 0,
        renegotiation_info: flags & 4 != 0,
        early_data_accepted: flags & 8 != 0,
    };
    let distinct = list.iter().enumerate().all(|(at, one)| !list[..at].contains(one));
    assert_eq!(preference.is_some(), distinct);
    let preference = preference.unwrap_or_default();
    server(octets, &preference, handshake);
    client(octets, &preference, handshake);
    names(octets);
    arrival(flags);
    pass(octets);
}

fn codes(preference: &Preference) -> Vec<u8> {
    preference.iter().map(KeyParameters::code).collect()
}

fn is_sound(handshake: Handshake) -> bool {
    (handshake.tls13 || handshake.extended_master_secret && handshake.renegotiation_info)
        && !handshake.early_data_accepted
}

fn server(octets: &[u8], preference: &Preference, handshake: Handshake) {
    let theirs = slow::negotiation::parse(octets);
    let Ok(ours) = ClientOffer::parse(octets) else { return assert_eq!(theirs, None) };
    let (version, offered) = theirs.expect("refused by one");
    assert_eq!((ours.version().major, ours.version().minor), version);
    let both = handshake.extended_master_secret && handshake.renegotiation_info;
    let expected = slow::negotiation::answer(
        version,
        &offered,
        &codes(preference),
        handshake.tls13,
        both,
        handshake.early_data_accepted,
    );
    let answer = negotiate(&ours, preference, handshake).ok();
    assert_eq!(answer.map(|answer| answer.extension_data()), expected.map(|code| [1, 0, 1, code]));
}

fn client(octets: &[u8], preference: &Preference, handshake: Handshake) {
    let codes = codes(preference);
    assert_eq!(slow::negotiation::parse(&offer(preference)), Some(((1, 0), codes.clone())));
    let ours = accept(preference, octets, handshake);
    let theirs = match slow::negotiation::parse(octets) {
        Some((version, list)) if version <= (1, 0) => Some((version, list)),
        _ => None,
    };
    // RFC 8472 §4: whatever breaks a rule ends the handshake
    if let Ok(Some(agreed)) = ours {
        let (version, list) = theirs.expect("refused by one");
        assert!(version == (1, 0) && is_sound(handshake));
        assert!(list == [agreed.key_parameters.code()] && codes.contains(&list[0]));
    } else if let Some(((1, 0), list)) = theirs {
        let fits = matches!(list.as_slice(), [code] if codes.contains(code));
        assert!(!fits || !is_sound(handshake), "a sound answer is refused");
    }
    // what our server answers, our client takes
    let own = ClientOffer::parse(&offer(preference)).expect("our own");
    match negotiate(&own, &Preference::default(), handshake) {
        Ok(answer) => {
            assert_eq!(accept(preference, &answer.extension_data(), handshake), Ok(Some(answer)));
        }
        Err(_) => assert!(!is_sound(handshake)),
    }
}

fn names(name: &[u8]) {
    let only_ours = [
        reserved::PROVIDED,
        reserved::REFERRED,
        reserved::OTHER,
        reserved::CONTEXT,
        reserved::SEC_CONTEXT,
        reserved::CLIENT_CERT,
        reserved::CLIENT_CERT_CHAIN,
        reserved::FINGERPRINT,
        reserved::MESSAGE,
    ];
    let cgi = slow::negotiation::cgi_name(name);
    let is_ours = only_ours.iter().any(|own| slow::negotiation::cgi_name(own.to_bytes()) == cgi);
    let expected = match is_ours {
        false => Field::Free,
        true if name.eq_ignore_ascii_case(b"Sec-Token-Binding") => Field::Message,
        true => Field::Reserved,
    };
    assert_eq!(classify(name), expected);
    assert!(expected == Field::Free || reserved::may_be_reserved(name[0]));
}

fn arrival(flags: u8) {
    let bit = |bit: u8| flags >> bit & 1 == 1;
    let missing = if bit(7) { Missing::Allow } else { Missing::Reject };
    let arrival = Arrival { enabled: bit(3), tls: bit(4), negotiated: bit(5), field: bit(6), missing };
    let bound = bit(3) && bit(4) && bit(5);
    match first_step(arrival) {
        Step::Verify => assert!(bound && bit(6)),
        Step::Refuse(_) => assert!(bound && !bit(6) && !bit(7)),
        Step::Unbound(_) => assert!(!bound || !bit(6) && bit(7)),
    }
}

fn pass(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok(pass) = Pass::from_words(text.split_ascii_whitespace()) {
        let printed = pass.to_string();
        assert_eq!(Pass::from_words(printed.split(' ')), Ok(pass));
        assert!(text.split_ascii_whitespace().all(|word| {
            word.eq_ignore_ascii_case("none") || printed.contains(&word.to_ascii_lowercase())
        }));
    }
}
