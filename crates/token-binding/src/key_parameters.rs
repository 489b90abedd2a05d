//! The signature schemes of Token Binding (RFC 8471 §3, "TokenBindingKeyParameters") and a server's order of preference.

use std::ffi::CStr;
use std::fmt;
use std::str::FromStr;

/// A signature scheme together with its kind of key (RFC 8471 §3 and §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyParameters {
    /// `rsa2048_pkcs1.5`: RSASSA-PKCS1-v1_5 with SHA-256 and a modulus of 2048 bits.
    Rsa2048Pkcs1_5 = 0,
    /// `rsa2048_pss`: RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 octets and a modulus of 2048 bits.
    Rsa2048Pss = 1,
    /// `ecdsap256`: ECDSA on NIST P-256 with SHA-256.
    EcdsaP256 = 2,
}

impl KeyParameters {
    /// The name that the IANA registry gives (RFC 8471 §6.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048Pkcs1_5 => "rsa2048_pkcs1.5",
            Self::Rsa2048Pss => "rsa2048_pss",
            Self::EcdsaP256 => "ecdsap256",
        }
    }

    /// The same name for callers that hand it to C.
    #[must_use]
    pub const fn name_c(self) -> &'static CStr {
        match self {
            Self::Rsa2048Pkcs1_5 => c"rsa2048_pkcs1.5",
            Self::Rsa2048Pss => c"rsa2048_pss",
            Self::EcdsaP256 => c"ecdsap256",
        }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The scheme of an octet on the wire; `None` for the unassigned ones, 3 to 255.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Rsa2048Pkcs1_5),
            1 => Some(Self::Rsa2048Pss),
            2 => Some(Self::EcdsaP256),
            _ => None,
        }
    }
}

impl fmt::Display for KeyParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no key parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key parameters \"{0}\": accepted are ecdsap256, rsa2048_pss and rsa2048_pkcs1.5")]
pub struct UnknownKeyParameters(pub String);

impl FromStr for KeyParameters {
    type Err = UnknownKeyParameters;

    /// Upper and lower case are the same, as in all of httpd's configuration.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Preference::default()
            .iter()
            .find(|key_parameters| key_parameters.name().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownKeyParameters(word.to_owned()))
    }
}

/// One to three distinct key parameters, the most preferred first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Preference([Option<KeyParameters>; 3]);

/// A list that is no order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// RFC 8472 §2: `key_parameters_list<1..2^8-1>`.
    #[error("at least one of ecdsap256, rsa2048_pss and rsa2048_pkcs1.5 is needed")]
    Empty,
    /// The same key parameters twice.
    #[error("{0} is named twice")]
    Twice(KeyParameters),
}

impl Preference {
    /// An order of preference, the most preferred first.
    ///
    /// # Errors
    ///
    /// The list is empty or names something twice.
    pub fn new(list: &[KeyParameters]) -> Result<Self, PreferenceError> {
        if list.is_empty() {
            return Err(PreferenceError::Empty);
        }
        let mut preference = Self([None; 3]);
        for &key_parameters in list {
            if preference.contains(key_parameters) {
                return Err(PreferenceError::Twice(key_parameters));
            }
            // There are as many places as key parameters, so distinct ones always find a free place.
            if let Some(place) = preference.0.iter_mut().find(|place| place.is_none()) {
                *place = Some(key_parameters);
            }
        }
        Ok(preference)
    }

    /// The key parameters, the most preferred first.
    pub fn iter(&self) -> impl Iterator<Item = KeyParameters> + use<> {
        self.0.into_iter().flatten()
    }

    /// How many there are, 1 to 3: the length octet of a `key_parameters_list` (RFC 8472 §2).
    pub(crate) fn len(&self) -> u8 {
        self.iter().fold(0, |count, _| count + 1)
    }

    /// Whether these key parameters are in the list.
    #[must_use]
    pub fn contains(&self, key_parameters: KeyParameters) -> bool {
        self.0.contains(&Some(key_parameters))
    }
}

impl Default for Preference {
    /// All three: the shortest keys first, then the RSA scheme with the better proof of security.
    fn default() -> Self {
        Self([
            Some(KeyParameters::EcdsaP256),
            Some(KeyParameters::Rsa2048Pss),
            Some(KeyParameters::Rsa2048Pkcs1_5),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::KeyParameters::{EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
    use super::*;

    #[test]
    fn codes_and_names_are_those_of_the_registry() {
        for (code, name, key_parameters) in [
            (0, "rsa2048_pkcs1.5", Rsa2048Pkcs1_5),
            (1, "rsa2048_pss", Rsa2048Pss),
            (2, "ecdsap256", EcdsaP256),
        ] {
            assert_eq!(key_parameters.code(), code);
            assert_eq!(KeyParameters::from_code(code), Some(key_parameters));
            assert_eq!(key_parameters.to_string(), name);
            assert_eq!(key_parameters.name_c().to_str(), Ok(name));
            assert_eq!(name.parse(), Ok(key_parameters));
            assert_eq!(name.to_ascii_uppercase().parse(), Ok(key_parameters));
        }
        assert!((3..=255).all(|code| KeyParameters::from_code(code).is_none()));
    }

    #[test]
    fn a_wrong_word_is_told_the_right_ones() {
        for word in ["ECDSAP384", "rsa2048_pkcs15", "", " ecdsap256"] {
            let message = word.parse::<KeyParameters>().unwrap_err().to_string();
            for name in Preference::default().iter().map(KeyParameters::name) {
                assert!(message.contains(name), "{message}");
            }
            assert!(message.contains(&format!("\"{word}\"")), "{message}");
        }
    }

    #[test]
    fn a_preference_is_ordered_and_distinct() {
        assert_eq!(Preference::new(&[]), Err(PreferenceError::Empty));
        assert_eq!(Preference::new(&[Rsa2048Pss, Rsa2048Pss]), Err(PreferenceError::Twice(Rsa2048Pss)));
        assert_eq!(
            Preference::new(&[EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5, EcdsaP256]),
            Err(PreferenceError::Twice(EcdsaP256))
        );
        let preference = Preference::new(&[Rsa2048Pkcs1_5, EcdsaP256]).unwrap();
        assert_eq!(preference.iter().collect::<Vec<_>>(), [Rsa2048Pkcs1_5, EcdsaP256]);
        assert!(preference.contains(EcdsaP256) && !preference.contains(Rsa2048Pss));
        assert_eq!(Preference::default(), Preference::new(&[EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5]).unwrap());
    }
}
