//! Negotiation by the TLS extension `token_binding` (RFC 8472; draft-ietf-tokbind-tls13 for TLS 1.3).
//!
//! The result belongs to one handshake of one connection: RFC 8472 §4 has both sides send the extension in abbreviated
//! handshakes too, and nothing is inherited from a resumed session.

use crate::key_parameters::{KeyParameters, Preference};
use std::fmt;

/// RFC 8472 §5: the number of the extension.
pub const EXTENSION_TYPE: u16 = 24;

/// A version of the protocol. RFC 8472 §2: the two numbers together are one ordered pair without further meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    /// The first octet.
    pub major: u8,
    /// The second octet.
    pub minor: u8,
}

impl ProtocolVersion {
    /// RFC 8471 §2: the version of the RFCs, and the only one spoken here.
    pub const V1_0: Self = Self { major: 1, minor: 0 };
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What the handshake is like that the extension is to be answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// TLS 1.3 is being negotiated: `extended_master_secret` and `renegotiation_info` do not exist there.
    pub tls13: bool,
    /// RFC 7627 `extended_master_secret` is being negotiated.
    pub extended_master_secret: bool,
    /// RFC 5746 secure renegotiation is being negotiated, by extension or by signalling cipher suite.
    pub renegotiation_info: bool,
    /// The server accepts early data of TLS 1.3.
    pub early_data_accepted: bool,
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Negotiated {
    /// The version both sides speak.
    pub version: ProtocolVersion,
    /// The key parameters that the provided binding must have.
    pub key_parameters: KeyParameters,
}

impl Negotiated {
    /// The server's `extension_data`. RFC 8472 §3: its list holds exactly one identifier.
    #[must_use]
    pub const fn extension_data(&self) -> [u8; 4] {
        [self.version.major, self.version.minor, 1, self.key_parameters.code()]
    }
}

/// `extension_data` that is no `TokenBindingParameters`. Alert: `decode_error` (RFC 8446 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedExtension {
    /// Ends before its list begins.
    #[error("token_binding extension of {0} octets is too short")]
    TooShort(usize),
    /// RFC 8472 §2: `key_parameters_list<1..2^8-1>`.
    #[error("token_binding extension lists no key parameters")]
    EmptyList,
    /// The list does not end where the extension ends.
    #[error("token_binding extension announces {announced} key parameters and has {present}")]
    ListLength {
        /// The length octet.
        announced: u8,
        /// The octets after it.
        present: usize,
    },
}

/// Version and identifiers of an `extension_data` (RFC 8472 §2: the same structure in both directions).
fn parse_parameters(extension_data: &[u8]) -> Result<(ProtocolVersion, &[u8]), MalformedExtension> {
    let too_short = MalformedExtension::TooShort(extension_data.len());
    let (&[major, minor, announced], list) = extension_data.split_first_chunk().ok_or(too_short)?;
    if list.len() != usize::from(announced) {
        return Err(MalformedExtension::ListLength { announced, present: list.len() });
    }
    if list.is_empty() {
        return Err(MalformedExtension::EmptyList);
    }
    Ok((ProtocolVersion { major, minor }, list))
}

/// What a client offers: its highest version, and those of its key parameters that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOffer {
    version: ProtocolVersion,
    /// Indexed by the code of the key parameters. The client's order is not kept: the server's preference decides.
    offered: [bool; 3],
}

impl ClientOffer {
    /// Reads the `extension_data` of a ClientHello.
    ///
    /// # Errors
    ///
    /// The extension is malformed, and the handshake has to end with `decode_error`.
    pub fn parse(extension_data: &[u8]) -> Result<Self, MalformedExtension> {
        let (version, list) = parse_parameters(extension_data)?;
        // RFC 8472 §3: identifiers that the server does not know are ignored.
        let offered = [0, 1, 2].map(|code| list.contains(&code));
        Ok(Self { version, offered })
    }

    /// The highest version the client speaks.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    fn offers(&self, key_parameters: KeyParameters) -> bool {
        self.offered.get(usize::from(key_parameters.code())).copied().unwrap_or(false)
    }
}

/// Why the server does not answer a well-formed extension. The handshake goes on without Token Binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNegotiated {
    /// Prototypes before version 1.0 signed other octets.
    #[error("client speaks token binding {0} only")]
    VersionTooLow(ProtocolVersion),
    /// Nothing in common.
    #[error("client offers no key parameters that are accepted here")]
    NoCommonKeyParameters,
    /// RFC 8472 §6.2: two connections could share their keying material.
    #[error("extended_master_secret is not negotiated")]
    NoExtendedMasterSecret,
    /// RFC 8472 §6.2.
    #[error("renegotiation_info is not negotiated")]
    NoRenegotiationInfo,
    /// draft-ietf-tokbind-tls13 §2: keying material does not cover early data.
    #[error("early data is accepted")]
    EarlyData,
}

/// The server's decision.
///
/// # Errors
///
/// The extension must not be answered: [`NotNegotiated`] says why.
pub fn negotiate(
    offer: &ClientOffer,
    preference: &Preference,
    handshake: Handshake,
) -> Result<Negotiated, NotNegotiated> {
    // RFC 8472 §3: the server answers the lower of the client's version and its own highest, if it supports that.
    if offer.version < ProtocolVersion::V1_0 {
        return Err(NotNegotiated::VersionTooLow(offer.version));
    }
    // RFC 8472 §3 (3) and §6.2: up to TLS 1.2 never without these two.
    if !handshake.tls13 && !handshake.extended_master_secret {
        return Err(NotNegotiated::NoExtendedMasterSecret);
    }
    if !handshake.tls13 && !handshake.renegotiation_info {
        return Err(NotNegotiated::NoRenegotiationInfo);
    }
    // draft-ietf-tokbind-tls13 §2: never both extensions on one connection.
    if handshake.early_data_accepted {
        return Err(NotNegotiated::EarlyData);
    }
    // RFC 8472 §3: the identifier the server prefers most among those offered.
    let key_parameters = preference
        .iter()
        .find(|&key_parameters| offer.offers(key_parameters))
        .ok_or(NotNegotiated::NoCommonKeyParameters)?;
    Ok(Negotiated { version: ProtocolVersion::V1_0, key_parameters })
}

/// A client's `extension_data`. RFC 8472 §2: its highest version and its key parameters in descending preference.
#[must_use]
pub fn offer(preference: &Preference) -> Vec<u8> {
    let ProtocolVersion { major, minor } = ProtocolVersion::V1_0;
    let mut extension_data = vec![major, minor, preference.len()];
    extension_data.extend(preference.iter().map(KeyParameters::code));
    extension_data
}

/// What a server did wrong in its answer, so that the client has to end the handshake. Alert: `unsupported_extension`
/// (RFC 8472 §4), but `decode_error` for [`ServerFault::Malformed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// The answer does not parse.
    #[error("server's {0}")]
    Malformed(#[from] MalformedExtension),
    /// RFC 8472 §4: the version may not be higher than offered.
    #[error("server selected token binding {0}, which is higher than offered")]
    VersionTooHigh(ProtocolVersion),
    /// RFC 8472 §4: more than one identifier.
    #[error("server selected {0} key parameters instead of one")]
    SeveralKeyParameters(usize),
    /// RFC 8472 §4: an identifier that was not offered.
    #[error("server selected key parameters {0}, which were not offered")]
    KeyParametersNotOffered(u8),
    /// RFC 8472 §4: up to TLS 1.2 never without it.
    #[error("server answered token_binding without extended_master_secret")]
    NoExtendedMasterSecret,
    /// RFC 8472 §4: up to TLS 1.2 never without it.
    #[error("server answered token_binding without renegotiation_info")]
    NoRenegotiationInfo,
    /// draft-ietf-tokbind-tls13 §2: never both.
    #[error("server answered token_binding and accepted early data")]
    EarlyData,
}

/// The client's judgement of the server's answer. `None`: the server speaks a lower version only, and the connection
/// goes on without Token Binding (RFC 8472 §4).
///
/// # Errors
///
/// The server broke the rules and the client has to end the handshake.
pub fn accept(
    offered: &Preference,
    reply: &[u8],
    handshake: Handshake,
) -> Result<Option<Negotiated>, ServerFault> {
    let (version, list) = parse_parameters(reply)?;
    if version > ProtocolVersion::V1_0 {
        return Err(ServerFault::VersionTooHigh(version));
    }
    let &[code] = list else { return Err(ServerFault::SeveralKeyParameters(list.len())) };
    let key_parameters = KeyParameters::from_code(code)
        .filter(|&key_parameters| offered.contains(key_parameters))
        .ok_or(ServerFault::KeyParametersNotOffered(code))?;
    if !handshake.tls13 && !handshake.extended_master_secret {
        return Err(ServerFault::NoExtendedMasterSecret);
    }
    if !handshake.tls13 && !handshake.renegotiation_info {
        return Err(ServerFault::NoRenegotiationInfo);
    }
    if handshake.early_data_accepted {
        return Err(ServerFault::EarlyData);
    }
    Ok((version == ProtocolVersion::V1_0).then_some(Negotiated { version, key_parameters }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyParameters::{EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
    use proptest::prelude::*;

    const TLS12: Handshake = Handshake {
        tls13: false,
        extended_master_secret: true,
        renegotiation_info: true,
        early_data_accepted: false,
    };
    const TLS13: Handshake = Handshake {
        tls13: true,
        extended_master_secret: false,
        renegotiation_info: false,
        early_data_accepted: false,
    };

    fn answer(extension_data: &[u8], handshake: Handshake) -> Result<Negotiated, NotNegotiated> {
        negotiate(&ClientOffer::parse(extension_data).unwrap(), &Preference::default(), handshake)
    }

    #[test]
    fn malformed_extensions() {
        use MalformedExtension::{EmptyList, ListLength, TooShort};
        for (extension_data, fault) in [
            (&[][..], TooShort(0)),
            (&[1, 0], TooShort(2)),
            (&[1, 0, 0], EmptyList),
            (&[1, 0, 1], ListLength { announced: 1, present: 0 }),
            (&[1, 0, 0, 2], ListLength { announced: 0, present: 1 }),
            (&[1, 0, 1, 2, 1], ListLength { announced: 1, present: 2 }),
        ] {
            assert_eq!(ClientOffer::parse(extension_data), Err(fault));
            let reply = accept(&Preference::default(), extension_data, TLS12);
            assert_eq!(reply, Err(ServerFault::Malformed(fault)));
        }
    }

    #[test]
    fn servers_preference_decides() {
        let offer = ClientOffer::parse(&[1, 0, 5, 0, 1, 99, 2, 1]).unwrap();
        for first in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5] {
            let negotiated = negotiate(&offer, &Preference::new(&[first]).unwrap(), TLS12).unwrap();
            assert_eq!(negotiated.extension_data(), [1, 0, 1, first.code()]);
        }
        let only_ec = Preference::new(&[EcdsaP256]).unwrap();
        let offer = ClientOffer::parse(&[1, 0, 2, 0, 1]).unwrap();
        assert_eq!(negotiate(&offer, &only_ec, TLS12), Err(NotNegotiated::NoCommonKeyParameters));
    }

    #[test]
    fn versions() {
        for version in [[0, 0], [0, 13], [0, 255]] {
            let too_low = ProtocolVersion { major: version[0], minor: version[1] };
            let reply = answer(&[version[0], version[1], 1, 2], TLS12);
            assert_eq!(reply, Err(NotNegotiated::VersionTooLow(too_low)));
        }
        for version in [[1, 0], [1, 1], [2, 0], [255, 255]] {
            let negotiated = answer(&[version[0], version[1], 1, 2], TLS12).unwrap();
            assert_eq!(negotiated.version, ProtocolVersion::V1_0);
        }
    }

    #[test]
    fn conditions_of_the_handshake() {
        let offer = [1, 0, 1, 2];
        assert!(answer(&offer, TLS12).is_ok() && answer(&offer, TLS13).is_ok());
        let without_ems = Handshake { extended_master_secret: false, ..TLS12 };
        assert_eq!(answer(&offer, without_ems), Err(NotNegotiated::NoExtendedMasterSecret));
        assert_eq!(
            accept(&Preference::default(), &offer, without_ems),
            Err(ServerFault::NoExtendedMasterSecret)
        );
        let without_ri = Handshake { renegotiation_info: false, ..TLS12 };
        assert_eq!(answer(&offer, without_ri), Err(NotNegotiated::NoRenegotiationInfo));
        assert_eq!(accept(&Preference::default(), &offer, without_ri), Err(ServerFault::NoRenegotiationInfo));
        let early = Handshake { early_data_accepted: true, ..TLS13 };
        assert_eq!(answer(&offer, early), Err(NotNegotiated::EarlyData));
        assert_eq!(accept(&Preference::default(), &offer, early), Err(ServerFault::EarlyData));
    }

    #[test]
    fn what_a_client_accepts() {
        let offered = Preference::new(&[EcdsaP256, Rsa2048Pss]).unwrap();
        assert_eq!(offer(&offered), [1, 0, 2, 2, 1]);
        let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: Rsa2048Pss };
        assert_eq!(accept(&offered, &[1, 0, 1, 1], TLS12), Ok(Some(negotiated)));
        assert_eq!(accept(&offered, &[1, 0, 1, 1], TLS13), Ok(Some(negotiated)));
        // RFC 8472 §4: a lower version is no fault; the connection goes on without Token Binding
        assert_eq!(accept(&offered, &[0, 16, 1, 1], TLS12), Ok(None));
        for (reply, fault) in [
            (&[1, 1, 1, 2][..], ServerFault::VersionTooHigh(ProtocolVersion { major: 1, minor: 1 })),
            (&[2, 0, 1, 2], ServerFault::VersionTooHigh(ProtocolVersion { major: 2, minor: 0 })),
            (&[1, 0, 2, 2, 1], ServerFault::SeveralKeyParameters(2)),
            (&[1, 0, 1, 0], ServerFault::KeyParametersNotOffered(0)),
            (&[1, 0, 1, 99], ServerFault::KeyParametersNotOffered(99)),
            (&[0, 16, 1, 0], ServerFault::KeyParametersNotOffered(0)),
        ] {
            assert_eq!(accept(&offered, reply, TLS12), Err(fault));
        }
    }

    fn preference() -> impl Strategy<Value = Preference> {
        proptest::sample::subsequence(vec![EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5], 1..=3)
            .prop_shuffle()
            .prop_map(|list| Preference::new(&list).unwrap())
    }

    proptest! {
        #[test]
        fn both_sides_agree(client in preference(), server in preference(), tls13: bool) {
            let handshake = if tls13 { TLS13 } else { TLS12 };
            let offered = ClientOffer::parse(&offer(&client)).unwrap();
            match negotiate(&offered, &server, handshake) {
                Ok(negotiated) => {
                    let best = server.iter().find(|&candidate| client.contains(candidate));
                    prop_assert_eq!(best, Some(negotiated.key_parameters));
                    let reply = negotiated.extension_data();
                    prop_assert_eq!(accept(&client, &reply, handshake), Ok(Some(negotiated)));
                }
                Err(reason) => {
                    prop_assert_eq!(reason, NotNegotiated::NoCommonKeyParameters);
                    prop_assert!(server.iter().all(|candidate| !client.contains(candidate)));
                }
            }
        }

        #[test]
        fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..300), server in preference()) {
            if let Ok(offer) = ClientOffer::parse(&octets) {
                prop_assert_eq!(usize::from(octets[2]), octets.len() - 3);
                let common = server.iter().any(|candidate| octets[3..].contains(&candidate.code()));
                let expected = common && octets[0] >= 1;
                prop_assert_eq!(negotiate(&offer, &server, TLS12).is_ok(), expected);
            }
            let _ = accept(&server, &octets, TLS12);
        }
    }
}
