//! Keys of the fuzz targets, always the same, so that a finding can be run again elsewhere.

use std::collections::HashMap;
use std::sync::LazyLock;

use token_binding::KeyParameters::{self, EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};
use token_binding::{Ekm, KeyPair};

/// PEM of private keys.
pub const RSA: [&str; 2] = [include_str!("../keys/rsa1.pem"), include_str!("../keys/rsa2.pem")];
/// P-256.
pub const EC: [&str; 2] = [include_str!("../keys/ec1.pem"), include_str!("../keys/ec2.pem")];
/// P-384.
pub const P384: &str = include_str!("../keys/p384.pem");
/// Ed25519.
pub const ED: &str = include_str!("../keys/ed1.pem");
/// For HMAC.
pub const SECRET: &str = "a secret of the fuzz targets, 64 octets long, enough for HS512....";

/// All schemes, at the index of their code.
pub const SCHEMES: [KeyParameters; 3] = [Rsa2048Pkcs1_5, Rsa2048Pss, EcdsaP256];
/// The binding types that keys sign.
pub const TYPES: [u8; 4] = [0, 1, 2, 200];

/// Keying material of one of two connections.
pub fn ekm(connection: usize) -> Ekm {
    Ekm::new([[0x11; 32], [0xee; 32]][connection % 2])
}

/// Token Binding keys: scheme, then which of two.
static PAIRS: LazyLock<Vec<[KeyPair; 2]>> = LazyLock::new(|| {
    let pair = |scheme, number: usize| {
        let pem = if scheme == EcdsaP256 { EC[number] } else { RSA[number] };
        KeyPair::from_private_key_pem(pem.as_bytes(), Some(scheme)).expect("a key")
    };
    SCHEMES.iter().map(|scheme| [pair(*scheme, 0), pair(*scheme, 1)]).collect()
});

/// One of the six keys.
pub fn pair(scheme: usize, number: usize) -> &'static KeyPair {
    &PAIRS[scheme % 3][number % 2]
}

/// What a signature is for: scheme, key, type, connection.
pub type Signed = (usize, usize, u8, usize);

/// Every signature that was ever made with these keys. All others are forgeries.
pub static SIGNATURES: LazyLock<HashMap<Signed, Vec<u8>>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    for scheme in 0..3 {
        for number in 0..2 {
            for kind in TYPES {
                for connection in 0..2 {
                    let signature = pair(scheme, number).sign(kind, &ekm(connection)).expect("signs");
                    all.insert((scheme, number, kind, connection), signature);
                }
            }
        }
    }
    all
});

/// Whether the holder of the key in this ID ever made this signature, for this type and connection.
pub fn is_genuine(id: &[u8], kind: u8, connection: usize, signature: &[u8]) -> bool {
    SIGNATURES.iter().any(|((scheme, number, signed, on), genuine)| {
        *signed == kind && *on == connection && genuine == signature && pair(*scheme, *number).id() == id
    })
}
