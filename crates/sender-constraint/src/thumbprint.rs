//! The SHA-256 thumbprint of a client certificate, `x5t#S256` (RFC 8705 §3.1).

use token_binding::base64url;

/// SHA-256 over the DER encoding of an X.509 certificate.
///
/// It covers the exact octets: a renewed or re-encoded certificate has another one (RFC 8705 §6.3). Chain, validity and
/// version of the certificate do not matter here (RFC 8705 §6.2); that the client holds its key, TLS has shown.
#[derive(Clone, Copy, Debug)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a certificate.
    #[must_use]
    pub fn of_der(der: &[u8]) -> Self {
        Self(openssl::sha::sha256(der))
    }

    /// Takes a hash that was computed elsewhere, as OpenSSL does from the certificate of a connection.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value of an `x5t#S256` member: 43 characters, no padding.
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
    fn equality_looks_at_every_octet() {
        let thumbprint = Thumbprint::of_der(b"certificate");
        for index in 0..32 {
            let mut octets = *thumbprint.as_bytes();
            octets[index] ^= 0x80;
            assert!(!thumbprint.ct_eq(&Thumbprint::from_digest(octets)));
        }
        assert!(thumbprint.ct_eq(&Thumbprint::of_der(b"certificate")));
        assert_eq!(thumbprint.to_base64url().len(), 43);
    }
}
