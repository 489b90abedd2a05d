//! Token Binding IDs and their hashes.

use crate::base64url;

/// A Token Binding ID (RFC 8471 §3.2): the octets of key parameters, key length and public key.
///
/// RFC 8471 §3.2: applications are to see it as opaque octets, and two IDs are the same when all their octets are: one
/// RSA key under two schemes has two IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBindingId<'a>(&'a [u8]);

impl<'a> TokenBindingId<'a> {
    /// The ID that these octets are. Nothing is checked: whether a client holds the key is for [`crate::verify`].
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The text form that applications and backends get (draft-ietf-tokbind-ttrp §2.1.1, `EncodedTokenBindingID`).
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(self.0)
    }

    /// The hash that a bound token carries.
    #[must_use]
    pub fn hash(&self) -> TokenBindingHash {
        TokenBindingHash::of(self.0)
    }
}

/// SHA-256 of a Token Binding ID, the `tbh` member of a token's confirmation (draft-ietf-oauth-token-binding §3).
#[derive(Clone, Copy, Debug)]
pub struct TokenBindingHash([u8; 32]);

impl TokenBindingHash {
    /// The hash of an ID's octets.
    #[must_use]
    pub fn of(id: &[u8]) -> Self {
        Self(openssl::sha::sha256(id))
    }

    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value of a `tbh` member: 43 characters.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        openssl::memcmp::eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_an_id() {
        // FIPS 180-4 example "abc"
        let hash = TokenBindingId::new(b"abc").hash();
        assert_eq!(hash.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hash.to_base64url(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert!(hash.ct_eq(&TokenBindingHash::of(b"abc")));
        assert!(!hash.ct_eq(&TokenBindingHash::of(b"abd")));
    }

    #[test]
    fn the_last_octet_counts() {
        let mut octets = *TokenBindingHash::of(b"abc").as_bytes();
        octets[31] ^= 1;
        assert!(!TokenBindingHash(octets).ct_eq(&TokenBindingHash::of(b"abc")));
    }
}
