//! Exported keying material, the secret that ties a signature to one TLS connection.

use zeroize::Zeroize as _;

/// RFC 8471 §3.3: the exporter label (RFC 5705 §4, RFC 8446 §7.5). It is used with no context at all, which up to
/// TLS 1.2 is something else than an empty context.
pub const EXPORTER_LABEL: &str = "EXPORTER-Token-Binding";

/// RFC 8471 §3.3: the length of the exported keying material, in octets.
pub const EKM_LEN: usize = 32;

/// The exported keying material of one TLS handshake (RFC 8471 §3.3).
///
/// Whoever knows it can make messages for this connection with keys of his own choice (RFC 8473 §7.2), so it cannot be
/// printed, compared by accident or copied, and is wiped when dropped.
pub struct Ekm([u8; EKM_LEN]);

impl Ekm {
    /// Takes what the TLS exporter gave.
    #[must_use]
    pub const fn new(octets: [u8; EKM_LEN]) -> Self {
        Self(octets)
    }

    /// The octets, for signing and for a trusted backend.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; EKM_LEN] {
        &self.0
    }
}

impl Drop for Ekm {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
