//! What a verifier concluded about a token, and how that is remembered outside of the process.
//!
//! A verdict says what the token is, never that this connection may use it: bindings are checked for every request.

use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use crate::cnf::{Confirmation, ConfirmationFault};
use crate::json::{self, Object};

/// What tells a verifier from every other: SHA-256 over all that affects its verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifierId([u8; 32]);

impl VerifierId {
    /// The identity of whatever these parts describe. Each is hashed with its length, so no two lists are one.
    #[must_use]
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hasher = openssl::sha::Sha256::new();
        for part in parts {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finish())
    }

    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Where the verdict of this verifier on this token is kept.
    ///
    /// Documents are kept under keys of their own kind ([`document_key`]): a URL presented as a token finds none.
    #[must_use]
    pub fn cache_key(&self, token: &[u8]) -> CacheKey {
        CacheKey(Self::of([&b"verdict"[..], &self.0, &openssl::sha::sha256(token)]).0)
    }
}

/// Where an entry is kept in a shared cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where the document that a verifier fetched from this URL is kept.
#[must_use]
pub fn document_key(url: &str, settings: &[u8]) -> CacheKey {
    CacheKey(VerifierId::of([&b"document"[..], url.as_bytes(), settings]).0)
}

/// A token that a verifier accepts.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The claims, of the JWT or of the introspection answer.
    pub claims: Object,
    /// What the token is bound to.
    pub confirmation: Confirmation,
    /// Until when that may be remembered, in seconds since 1970: never past `exp`.
    pub good_until: i64,
    /// A shared cache remembered it.
    pub shared: bool,
}

impl Verdict {
    /// A verdict on these claims.
    ///
    /// # Errors
    ///
    /// A confirmation that cannot be checked.
    pub fn new(claims: Object, good_until: i64) -> Result<Self, ConfirmationFault> {
        Ok(Self { confirmation: Confirmation::from_claims(&claims)?, claims, good_until, shared: false })
    }
}

/// What a shared cache remembers of a token.
#[derive(Clone, Debug)]
pub enum Remembered {
    /// It was good.
    Good(Verdict),
    /// The authorization server said that it is not active.
    Inactive {
        /// Until when that is believed, in seconds since 1970.
        until: i64,
    },
}

const VERSION: u8 = 1;
const GOOD: u8 = 1;
const INACTIVE: u8 = 0;

impl Remembered {
    /// When it is over, in seconds since 1970.
    #[must_use]
    pub fn until(&self) -> i64 {
        match self {
            Self::Good(verdict) => verdict.good_until,
            Self::Inactive { until } => *until,
        }
    }

    /// The octets to keep: version, kind, until when (8), length of the claims (4), claims.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, until, claims) = match self {
            Self::Good(verdict) => {
                (GOOD, verdict.good_until, serde_json::to_vec(&verdict.claims).unwrap_or_default())
            }
            Self::Inactive { until } => (INACTIVE, *until, Vec::new()),
        };
        let mut octets = vec![VERSION, kind];
        octets.extend_from_slice(&until.to_be_bytes());
        octets.extend_from_slice(&u32::try_from(claims.len()).unwrap_or(u32::MAX).to_be_bytes());
        octets.extend_from_slice(&claims);
        octets
    }

    /// What was kept, if it is whole, of this version, and still to be believed.
    #[must_use]
    pub fn decode(octets: &[u8], now: i64) -> Option<Self> {
        let ([VERSION, kind], rest) = octets.split_first_chunk()? else { return None };
        let (until, rest) = rest.split_first_chunk()?;
        let (length, claims) = rest.split_first_chunk()?;
        let until = i64::from_be_bytes(*until);
        if until <= now || usize::try_from(u32::from_be_bytes(*length)).ok()? != claims.len() {
            return None;
        }
        match *kind {
            GOOD => {
                let verdict = Verdict::new(json::parse_object(claims).ok()?, until).ok()?;
                Some(Self::Good(Verdict { shared: true, ..verdict }))
            }
            INACTIVE if claims.is_empty() => Some(Self::Inactive { until }),
            _ => None,
        }
    }
}

/// Encrypts and authenticates what leaves the server (AES-256-GCM, NIST SP 800-38D).
///
/// The key of an entry is authenticated with it, so no entry can be moved to another token or verifier.
pub struct Sealer {
    key: Zeroizing<[u8; 32]>,
}

const NONCE: usize = 12;
const TAG: usize = 16;

impl Sealer {
    /// A sealer whose key comes from a passphrase (HKDF-SHA-256, RFC 5869).
    ///
    /// HKDF does not make a weak passphrase strong: it should have 128 bits of randomness, as `openssl rand -base64 24` has.
    ///
    /// # Errors
    ///
    /// Whatever keeps OpenSSL from deriving a key.
    pub fn from_passphrase(passphrase: &[u8]) -> Result<Self, ErrorStack> {
        let mut key = Zeroizing::new([0; 32]);
        let mut context = PkeyCtx::new_id(Id::HKDF)?;
        context.derive_init()?;
        context.set_hkdf_md(Md::sha256())?;
        context.set_hkdf_salt(b"mod_token_binding")?;
        context.set_hkdf_key(passphrase)?;
        context.add_hkdf_info(b"shared cache entries, version 1")?;
        context.derive(Some(key.as_mut_slice()))?;
        Ok(Self { key })
    }

    /// Nonce (12), ciphertext, tag (16).
    ///
    /// # Errors
    ///
    /// Whatever keeps OpenSSL from encrypting, such as a lack of random numbers.
    pub fn seal(&self, key: &CacheKey, plain: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut nonce = [0; NONCE];
        openssl::rand::rand_bytes(&mut nonce)?;
        let mut tag = [0; TAG];
        let cipher = Cipher::aes_256_gcm();
        let encrypted =
            encrypt_aead(cipher, self.key.as_slice(), Some(&nonce), key.as_bytes(), plain, &mut tag)?;
        Ok([&nonce[..], &encrypted, &tag].concat())
    }

    /// What was sealed for this key with this passphrase; `None` for everything else.
    #[must_use]
    pub fn open(&self, key: &CacheKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        let (encrypted, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let cipher = Cipher::aes_256_gcm();
        decrypt_aead(cipher, self.key.as_slice(), Some(nonce), key.as_bytes(), encrypted, tag).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn verdict(until: i64) -> Remembered {
        let claims = json!({"sub": "joe", "n": 5, "cnf": {"x5t#S256": "x"}});
        Remembered::Good(Verdict::new(claims.as_object().unwrap().clone(), until).unwrap())
    }

    fn key(verifier: &str, token: &str) -> CacheKey {
        VerifierId::of([verifier.as_bytes()]).cache_key(token.as_bytes())
    }

    #[test]
    fn entries_survive_and_expire() {
        let octets = verdict(100).encode();
        let Some(Remembered::Good(read)) = Remembered::decode(&octets, 99) else { panic!() };
        assert_eq!(json::string(&read.claims, "sub"), Some("joe"));
        assert!(read.confirmation.is_bound() && read.good_until == 100);
        assert!(Remembered::decode(&octets, 100).is_none(), "never past its time");
        let inactive = Remembered::Inactive { until: 100 }.encode();
        assert!(matches!(Remembered::decode(&inactive, 99), Some(Remembered::Inactive { until: 100 })));
    }

    #[test]
    fn damaged_entries_are_no_entries() {
        let octets = verdict(100).encode();
        for length in 0..octets.len() {
            assert!(Remembered::decode(&octets[..length], 0).is_none(), "{length}");
        }
        let mut longer = octets.clone();
        longer.push(b' ');
        assert!(Remembered::decode(&longer, 0).is_none());
        for index in [0, 1] {
            let mut other = octets.clone();
            other[index] = 9;
            assert!(Remembered::decode(&other, 0).is_none());
        }
        let odd = Verdict {
            claims: json!({"cnf": 1}).as_object().unwrap().clone(),
            confirmation: Confirmation::default(),
            good_until: 100,
            shared: false,
        };
        assert!(Remembered::decode(&Remembered::Good(odd).encode(), 0).is_none());
    }

    #[test]
    fn keys_belong_to_one_verifier_one_token_and_one_purpose() {
        assert_eq!(key("a", "t"), key("a", "t"));
        assert_ne!(key("a", "t"), key("b", "t"));
        assert_ne!(key("a", "t"), key("a", "T"));
        let url = "https://as/jwks";
        assert_ne!(key("a", url), document_key(url, b""));
        assert_ne!(document_key(url, b""), document_key(url, b"x"));
        assert_ne!(VerifierId::of([&b"ab"[..], b"c"]), VerifierId::of([&b"a"[..], b"bc"]));
    }

    #[test]
    fn seals_hold() {
        let sealer = Sealer::from_passphrase(b"secret").unwrap();
        let key_a = key("a", "t");
        let sealed = sealer.seal(&key_a, b"verdict").unwrap();
        assert_eq!(sealer.open(&key_a, &sealed).as_deref(), Some(&b"verdict"[..]));
        assert!(!sealed.windows(7).any(|window| window == b"verdict"));
        assert_ne!(sealed, sealer.seal(&key_a, b"verdict").unwrap(), "a new nonce each time");
        assert!(sealer.open(&key("b", "t"), &sealed).is_none(), "moved to another verifier");
        assert!(sealer.open(&key("a", "u"), &sealed).is_none(), "moved to another token");
        assert!(Sealer::from_passphrase(b"Secret").unwrap().open(&key_a, &sealed).is_none());
        for index in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[index] ^= 1;
            assert!(sealer.open(&key_a, &forged).is_none(), "{index}");
            assert!(sealer.open(&key_a, &sealed[..index]).is_none(), "{index}");
        }
        assert!(ErrorStack::get().errors().is_empty());
    }

    proptest! {
        #[test]
        fn garbage_is_no_entry(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Remembered::decode(&octets, 0);
            prop_assert!(Sealer::from_passphrase(b"x").unwrap().open(&key("a", "t"), &octets).is_none());
        }
    }
}
