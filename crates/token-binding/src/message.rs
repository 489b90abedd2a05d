//! The Token Binding message (RFC 8471 §3): a borrowing parser that accounts for every octet at every level.

use crate::key_parameters::KeyParameters;
use crate::reader::Reader;
use crate::token_binding_id::TokenBindingId;
use std::fmt;

/// A field of the message, by its name in RFC 8471 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The vector of all bindings, which is the whole message.
    TokenBindings,
    /// The first octet of a binding.
    TokenBindingType,
    /// The first octet of a Token Binding ID.
    KeyParameters,
    /// The rest of a Token Binding ID.
    PublicKey,
    /// The modulus of an RSA key.
    Modulus,
    /// The exponent of an RSA key.
    PublicExponent,
    /// The point of an elliptic curve key.
    Point,
    /// The signature of a binding.
    Signature,
    /// The vector of all extensions of a binding.
    Extensions,
    /// The first octet of an extension.
    ExtensionType,
    /// The data of an extension.
    ExtensionData,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenBindings => "tokenbindings",
            Self::TokenBindingType => "tokenbinding_type",
            Self::KeyParameters => "key_parameters",
            Self::PublicKey => "public key",
            Self::Modulus => "modulus",
            Self::PublicExponent => "publicexponent",
            Self::Point => "point",
            Self::Signature => "signature",
            Self::Extensions => "extensions",
            Self::ExtensionType => "extension_type",
            Self::ExtensionData => "extension_data",
        })
    }
}

/// Octets that are no `TokenBindingMessage`: which field is wrong, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The field, or its length, goes past the end of what encloses it.
    #[error("{0} goes past the end of what encloses it")]
    Truncated(Field),
    /// The field is shorter than its type allows.
    #[error("{field} has {length} octets, at least {minimum} are needed")]
    TooShort {
        /// The field.
        field: Field,
        /// Its length in octets.
        length: usize,
        /// The lower bound of its vector, in octets.
        minimum: usize,
    },
    /// The enclosing field goes on after its last part.
    #[error("{octets} octets follow the {after}")]
    Trailing {
        /// The last part.
        after: Field,
        /// How many octets are too many.
        octets: usize,
    },
}

/// What a binding is for (RFC 8471 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenBindingType {
    /// `provided_token_binding`: for the server that receives the message.
    Provided,
    /// `referred_token_binding`: for a server that the receiver issues a token for.
    Referred,
    /// An unassigned type.
    Other(u8),
}

impl TokenBindingType {
    /// The octet on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Provided => 0,
            Self::Referred => 1,
            Self::Other(code) => code,
        }
    }
}

impl From<u8> for TokenBindingType {
    fn from(code: u8) -> Self {
        match code {
            0 => Self::Provided,
            1 => Self::Referred,
            _ => Self::Other(code),
        }
    }
}

/// The parts of a public key, as RFC 8471 §3.2 frames them. Whether they make a sound key is for [`crate::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// `RSAPublicKey`, big-endian numbers.
    Rsa {
        /// The modulus.
        modulus: &'a [u8],
        /// The exponent.
        public_exponent: &'a [u8],
    },
    /// `TB_ECPoint`: X and Y one after the other.
    EcPoint(&'a [u8]),
    /// The key of unknown key parameters.
    Unknown(&'a [u8]),
}

/// One `TokenBinding` (RFC 8471 §3).
#[derive(Clone, Copy, Debug)]
pub struct TokenBinding<'a> {
    /// What it is for.
    pub token_binding_type: TokenBindingType,
    /// The Token Binding ID, unverified.
    pub id: TokenBindingId<'a>,
    /// The signature over type, key parameters and EKM.
    pub signature: &'a [u8],
    /// The extensions. No signature covers them (RFC 8471 §3.3).
    pub extensions: Extensions<'a>,
    key_parameters: u8,
    public_key: PublicKey<'a>,
}

impl<'a> TokenBinding<'a> {
    /// The key parameters of the ID.
    ///
    /// # Errors
    ///
    /// The octet, where it is none of RFC 8471 §6.1.
    pub fn key_parameters(&self) -> Result<KeyParameters, u8> {
        KeyParameters::from_code(self.key_parameters).ok_or(self.key_parameters)
    }

    /// The public key of the ID.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey<'a> {
        self.public_key
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let token_binding_type = reader.uint8(Field::TokenBindingType)?.into();
        let mut id = *reader;
        let key_parameters = reader.uint8(Field::KeyParameters)?;
        let key = reader.vector16(Field::PublicKey, 0)?;
        // RFC 8471 §3.2: the ID is key parameters (1 octet), key length (2 octets) and public key.
        let id = TokenBindingId::new(id.take(3 + key.len(), Field::PublicKey)?);
        let public_key = read_public_key(key_parameters, key)?;
        // RFC 8471 §3: `opaque signature<64..2^16-1>`, `TB_Extension extensions<0..2^16-1>`.
        let signature = reader.vector16(Field::Signature, 64)?;
        let extensions = Extensions::read(reader.vector16(Field::Extensions, 0)?)?;
        Ok(Self { token_binding_type, id, signature, extensions, key_parameters, public_key })
    }
}

fn read_public_key(key_parameters: u8, key: &[u8]) -> Result<PublicKey<'_>, MessageError> {
    let mut reader = Reader::new(key);
    match KeyParameters::from_code(key_parameters) {
        Some(KeyParameters::Rsa2048Pkcs1_5 | KeyParameters::Rsa2048Pss) => {
            // RFC 8471 §3: `opaque modulus<1..2^16-1>`, `opaque publicexponent<1..2^8-1>`.
            let modulus = reader.vector16(Field::Modulus, 1)?;
            let public_exponent = reader.vector8(Field::PublicExponent, 1)?;
            reader.end(Field::PublicExponent)?;
            Ok(PublicKey::Rsa { modulus, public_exponent })
        }
        Some(KeyParameters::EcdsaP256) => {
            // RFC 8471 §3: `opaque point <1..2^8-1>`.
            let point = reader.vector8(Field::Point, 1)?;
            reader.end(Field::Point)?;
            Ok(PublicKey::EcPoint(point))
        }
        // RFC 8471 §3: the key length is there so that a key of unknown kind can be passed over.
        None => Ok(PublicKey::Unknown(key)),
    }
}

/// The extensions of a binding. None is defined, and RFC 8471 §3.4 has unknown ones ignored.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a>(Reader<'a>);

/// A `TB_Extension` (RFC 8471 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The type.
    pub extension_type: u8,
    /// The data.
    pub data: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Makes sure that the list frames, so that iterating over it cannot fail.
    fn read(list: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(list);
        while !reader.is_empty() {
            Extension::read(&mut reader)?;
        }
        Ok(Self(Reader::new(list)))
    }
}

impl<'a> Extension<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let extension_type = reader.uint8(Field::ExtensionType)?;
        let data = reader.vector16(Field::ExtensionData, 0)?;
        Ok(Self { extension_type, data })
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        Extension::read(&mut self.0).ok()
    }
}

/// The bindings of a message, read one by one.
pub(crate) struct Bindings<'a>(Reader<'a>);

/// Reads the frame of a message.
pub(crate) fn bindings(message: &[u8]) -> Result<Bindings<'_>, MessageError> {
    let mut reader = Reader::new(message);
    // RFC 8471 §3: `TokenBinding tokenbindings<132..2^16-1>`. That is also "at least one" (§4.2).
    let list = reader.vector16(Field::TokenBindings, 132)?;
    reader.end(Field::TokenBindings)?;
    Ok(Bindings(Reader::new(list)))
}

impl<'a> Iterator for Bindings<'a> {
    type Item = Result<TokenBinding<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let binding = TokenBinding::read(&mut self.0);
        if binding.is_err() {
            self.0 = Reader::new(&[]);
        }
        Some(binding)
    }
}

/// A whole message, for tools that show what is in it. It says nothing about signatures: see [`crate::verify`].
#[derive(Clone, Debug)]
pub struct TokenBindingMessage<'a>(Vec<TokenBinding<'a>>);

impl<'a> TokenBindingMessage<'a> {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// The first field that does not frame.
    pub fn parse(message: &'a [u8]) -> Result<Self, MessageError> {
        bindings(message)?.collect::<Result<_, _>>().map(Self)
    }

    /// The bindings, in the client's order; at least one.
    #[must_use]
    pub fn bindings(&self) -> &[TokenBinding<'a>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{MessageBuilder, encode_binding};

    /// An ID of unknown key parameters, whose key may be any octets.
    fn unknown_id(key: &[u8]) -> Vec<u8> {
        [&[99, 0, u8::try_from(key.len()).unwrap()], key].concat()
    }

    #[test]
    fn parts_are_where_the_rfc_puts_them() {
        let id = [&[2, 0, 65, 64], [7; 64].as_slice()].concat();
        let octets = MessageBuilder::new()
            .push(1, &id, &[9; 64], &[5, 0, 2, 8, 8, 6, 0, 0])
            .unwrap()
            .to_bytes()
            .unwrap();
        let message = TokenBindingMessage::parse(&octets).unwrap();
        let [binding] = message.bindings() else { panic!("{message:?}") };
        assert_eq!(binding.token_binding_type, TokenBindingType::Referred);
        assert_eq!(binding.key_parameters(), Ok(KeyParameters::EcdsaP256));
        assert_eq!(binding.id.as_bytes(), id);
        assert_eq!(binding.public_key(), PublicKey::EcPoint(&[7; 64]));
        assert_eq!(binding.signature, [9; 64]);
        assert_eq!(
            binding.extensions.collect::<Vec<_>>(),
            [Extension { extension_type: 5, data: &[8, 8] }, Extension { extension_type: 6, data: &[] }]
        );
    }

    #[test]
    fn rsa_keys_are_framed_within_the_id() {
        let id = [0, 0, 7, 0, 3, 4, 5, 6, 1, 3];
        let octets = MessageBuilder::new().push(0, &id, &[9; 256], &[]).unwrap().to_bytes().unwrap();
        let message = TokenBindingMessage::parse(&octets).unwrap();
        let rsa = PublicKey::Rsa { modulus: &[4, 5, 6], public_exponent: &[3] };
        assert_eq!(message.bindings()[0].public_key(), rsa);
        assert_eq!(message.bindings()[0].id.as_bytes(), id);
    }

    #[test]
    fn unknown_key_parameters_are_passed_over_by_their_length() {
        let octets = MessageBuilder::new()
            .push(0, &unknown_id(&[]), &[9; 64], &[])
            .unwrap()
            .push(77, &unknown_id(&[1, 2, 3]), &[9; 64], &[])
            .unwrap()
            .to_bytes()
            .unwrap();
        let message = TokenBindingMessage::parse(&octets).unwrap();
        assert_eq!(message.bindings()[0].key_parameters(), Err(99));
        assert_eq!(message.bindings()[1].public_key(), PublicKey::Unknown(&[1, 2, 3]));
        assert_eq!(message.bindings()[1].token_binding_type, TokenBindingType::Other(77));
    }

    #[test]
    fn types_keep_their_octet() {
        for code in 0..=255 {
            assert_eq!(TokenBindingType::from(code).code(), code);
        }
    }

    #[test]
    fn nothing_follows_a_fault() {
        let sound = encode_binding(0, &unknown_id(&[1; 70]), &[9; 64], &[]).unwrap();
        let list = [&sound, &[0, 99, 0][..], &sound].concat();
        let octets = [&u16::try_from(list.len()).unwrap().to_be_bytes()[..], &list].concat();
        let read: Vec<_> = bindings(&octets).unwrap().collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok() && read[1].is_err());
    }
}
