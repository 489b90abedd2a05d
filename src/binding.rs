//! What this module keeps about one TLS connection.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

use openssl::x509::X509;
use sender_constraint::thumbprint::Thumbprint;
use token_binding::{ClientOffer, Ekm, Negotiated, TokenBindingHash};

use crate::tls::Held;

/// State of a TLS connection, from before its handshake to its end.
///
/// The connection's own thread works on it; the threads of HTTP/2 streams read [`binding`](Self::binding), and nothing else.
pub(crate) struct TlsConnection<'c> {
    /// Held, since mod_ssl frees it before the connection ends where a handshake fails. Given back with the connection's pool,
    /// whose cleanups run in reverse order: after mod_ssl's.
    pub(crate) ssl: Held<'c>,
    pub(crate) handshake: Handshake,
    binding: AtomicPtr<Binding>,
}

/// The handshake that is under way, or was last. Touched by the connection's own thread only.
#[derive(Default)]
pub(crate) struct Handshake {
    /// What the ClientHello asked for.
    pub(crate) offer: Cell<Option<Offer>>,
    /// What we agreed to, and the server random of the handshake in which we did.
    pub(crate) agreed: Cell<Option<(Negotiated, [u8; 32])>>,
    /// The extension's data, kept until OpenSSL has copied it.
    pub(crate) answer: Cell<[u8; 4]>,
}

/// Extension 24 of a ClientHello, with what else of it matters.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) client: ClientOffer,
    pub(crate) extended_master_secret: bool,
}

impl<'c> TlsConnection<'c> {
    pub(crate) fn new(ssl: Held<'c>) -> Self {
        Self { ssl, handshake: Handshake::default(), binding: AtomicPtr::default() }
    }

    /// What requests are judged by: of the last finished handshake. None before the first.
    pub(crate) fn binding(&self) -> Option<&'c Binding> {
        // SAFETY: null or what `bind` stored, which lives as long as the connection.
        unsafe { self.binding.load(Ordering::Acquire).as_ref() }
    }

    /// Replaces it after a handshake. The old one stays allocated: a request may still refer to it.
    pub(crate) fn bind(&self, binding: &'c mut Binding) {
        self.binding.store(binding, Ordering::Release);
    }
}

/// What one finished handshake proved. Immutable, but for the messages remembered, which are only ever added.
pub(crate) struct Binding {
    /// Tells this handshake from the connection's others.
    pub(crate) server_random: [u8; 32],
    pub(crate) is_of_tls13: bool,
    pub(crate) token_binding: Option<TokenBinding>,
    /// Boxed: most connections have none.
    pub(crate) certificate: Option<Box<ClientCertificate>>,
}

/// Token Binding as negotiated, with all that depends on the connection alone.
pub(crate) struct TokenBinding {
    pub(crate) negotiated: Negotiated,
    pub(crate) ekm: Ekm,
    /// The value of `Token-Binding-Context`. It holds the EKM.
    pub(crate) context: CString,
    pub(crate) messages: Messages,
}

/// The client's certificate and its `x5t#S256`.
pub(crate) struct ClientCertificate {
    pub(crate) x509: X509,
    /// What the client sent above it, in the order of TLS.
    pub(crate) chain: Vec<X509>,
    pub(crate) thumbprint: CString,
    pub(crate) x5t: Thumbprint,
    /// Made for the first backend that wants them.
    pub(crate) fields: OnceLock<ClientCertFields>,
}

/// The certificate as RFC 9440 puts it into header fields; None where there is none, or it is too large to be sent.
#[derive(Default)]
pub(crate) struct ClientCertFields {
    pub(crate) client_cert: Option<CString>,
    pub(crate) client_cert_chain: Option<CString>,
}

/// Messages that were verified under one EKM, so that a message repeated on its connection costs one comparison.
///
/// Only ever added to, so streams of HTTP/2 read it without a lock. When it is full, or a message is long, messages are
/// verified again each time: slower, never wrong. What it holds is bounded by [`Messages::SLOTS`] times [`Messages::LONGEST`].
#[derive(Default)]
pub(crate) struct Messages {
    slots: [OnceLock<Arc<VerifiedMessage>>; Self::SLOTS],
}

impl Messages {
    /// With more, an idle connection would take more than 1 KiB.
    const SLOTS: usize = 6;
    /// Two RSA bindings in base64url are 1408 octets.
    const LONGEST: usize = 2048;

    /// The message of exactly these octets, if it was verified before.
    pub(crate) fn find(&self, field: &CStr) -> Option<&VerifiedMessage> {
        self.slots.iter().map_while(OnceLock::get).find(|message| *message.field == *field).map(Arc::as_ref)
    }

    /// Keeps a message that was verified; gives it back where there is no room.
    pub(crate) fn remember(
        &self,
        message: VerifiedMessage,
    ) -> Result<&VerifiedMessage, Arc<VerifiedMessage>> {
        let message = Arc::new(message);
        if message.field.count_bytes() > Self::LONGEST {
            return Err(message);
        }
        // Two streams may race for a slot: the loser tries the next.
        let slot = self.slots.iter().find(|slot| slot.set(Arc::clone(&message)).is_ok());
        slot.and_then(OnceLock::get).map(Arc::as_ref).ok_or(message)
    }
}

/// A message that passed, and what becomes of it in variables and headers.
pub(crate) struct VerifiedMessage {
    /// The value of `Sec-Token-Binding`, to its last octet.
    pub(crate) field: CString,
    pub(crate) provided: CString,
    pub(crate) referred: Option<CString>,
    pub(crate) other: Option<CString>,
    /// SHA-256 of the provided ID, as tokens are bound to it.
    pub(crate) tbh: TokenBindingHash,
    /// The same in base64url.
    pub(crate) hash: CString,
}
