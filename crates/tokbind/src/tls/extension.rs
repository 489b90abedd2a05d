//! The `token_binding` extension on the client's side (RFC 8472 §2 and §4; draft-ietf-tokbind-tls13 §2).

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{ExtensionContext, Ssl, SslAlert, SslContextBuilder, SslRef};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use token_binding::{EXTENSION_TYPE, Handshake, Negotiated, Preference, ServerFault, accept, offer};

/// What the ClientHello says about Token Binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Nothing: the extension is not sent.
    None,
    /// Version 1.0 with these key parameters. The server's answer is judged by RFC 8472 §4.
    Preference(Preference),
    /// These octets as `extension_data`, well-formed or not. No answer ends the connection.
    Raw(Vec<u8>),
}

impl Default for Offer {
    /// All key parameters, `ecdsap256` first.
    fn default() -> Self {
        Self::Preference(Preference::default())
    }
}

impl Offer {
    fn extension_data(&self) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::Preference(preference) => Some(offer(preference)),
            Self::Raw(octets) => Some(octets.clone()),
        }
    }
}

/// What was said about Token Binding in the latest handshake of one connection.
pub(super) struct Exchange {
    offer: Offer,
    reply: Option<Vec<u8>>,
    fault: Option<ServerFault>,
}

/// An exchange, seen by the connection and by OpenSSL's callbacks.
#[derive(Clone)]
pub(super) struct SharedExchange(Arc<Mutex<Exchange>>);

impl SharedExchange {
    pub(super) fn new(offer: Offer) -> Self {
        Self(Arc::new(Mutex::new(Exchange { offer, reply: None, fault: None })))
    }

    /// Ties the exchange to a connection that is about to be opened.
    pub(super) fn attach(&self, ssl: &mut SslRef) -> Result<(), ErrorStack> {
        ssl.set_ex_data(index()?, self.clone());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's `extension_data`, as it came.
    pub(super) fn reply(&self) -> Option<Vec<u8>> {
        self.lock().reply.clone()
    }

    /// What the server did wrong during the handshake.
    pub(super) fn fault(&self) -> Option<ServerFault> {
        self.lock().fault
    }

    /// The judgement after the handshake, when OpenSSL tells whether the master secret is an extended one.
    pub(super) fn negotiated(&self, ssl: &SslRef) -> Result<Option<Negotiated>, ServerFault> {
        let tls13 = ssl.version_str() == "TLSv1.3";
        let handshake =
            Handshake { extended_master_secret: ssl.extms_support() == Some(true), ..handshake(tls13) };
        self.lock().judge(handshake)
    }
}

impl Exchange {
    fn judge(&self, handshake: Handshake) -> Result<Option<Negotiated>, ServerFault> {
        let Some(reply) = &self.reply else { return Ok(None) };
        match &self.offer {
            Offer::Preference(preference) => accept(preference, reply, handshake),
            // Not to hold the server to what these octets may mean is what they are for.
            Offer::Raw(_) | Offer::None => {
                Ok(accept(&Preference::default(), reply, handshake).unwrap_or_default())
            }
        }
    }
}

/// A handshake as far as it is known from the outset.
const fn handshake(tls13: bool) -> Handshake {
    Handshake {
        tls13,
        // OpenSSL tells only after the handshake.
        extended_master_secret: true,
        // RFC 5746 §4.1: the connector ends a handshake with a server that does not know the extension.
        renegotiation_info: true,
        // This client never sends early data.
        early_data_accepted: false,
    }
}

/// Where a connection's exchange hangs on its `SSL` object.
fn index() -> Result<Index<Ssl, SharedExchange>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, SharedExchange>> = OnceLock::new();
    match INDEX.get() {
        Some(index) => Ok(*index),
        // Should two threads come here at once, one of the two indices stays unused.
        None => Ssl::new_ex_index().map(|index| *INDEX.get_or_init(|| index)),
    }
}

fn exchange(ssl: &SslRef) -> Option<SharedExchange> {
    index().ok().and_then(|index| ssl.ex_data(index)).cloned()
}

/// Teaches a context the extension. It is registered even where nothing is offered: then OpenSSL ends a handshake in
/// which the server sends it unasked, with `unsupported_extension`, as RFC 8472 §4 demands.
pub(super) fn register(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // draft-ietf-tokbind-tls13 §2: in TLS 1.3 the answer stands in EncryptedExtensions and nowhere else.
    let messages = ExtensionContext::CLIENT_HELLO
        | ExtensionContext::TLS1_2_SERVER_HELLO
        | ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS;
    context.add_custom_ext(
        EXTENSION_TYPE,
        messages,
        |ssl, _, _| Ok(client_hello(ssl)),
        |ssl, message, reply, _| server_reply(ssl, message, reply),
    )
}

fn client_hello(ssl: &SslRef) -> Option<Vec<u8>> {
    let exchange = exchange(ssl)?;
    let mut exchange = exchange.lock();
    // RFC 8472 §4: each handshake negotiates anew, a renegotiation too.
    exchange.reply = None;
    exchange.fault = None;
    exchange.offer.extension_data()
}

fn server_reply(ssl: &SslRef, message: ExtensionContext, reply: &[u8]) -> Result<(), SslAlert> {
    let exchange = exchange(ssl).ok_or(SslAlert::INTERNAL_ERROR)?;
    let mut exchange = exchange.lock();
    exchange.reply = Some(reply.to_vec());
    let tls13 = message.contains(ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS);
    if let Err(fault) = exchange.judge(handshake(tls13)) {
        exchange.fault = Some(fault);
        // RFC 8472 §4: unsupported_extension; what does not parse is a decode_error (RFC 8446 §6.2).
        return Err(match fault {
            ServerFault::Malformed(_) => SslAlert::DECODE_ERROR,
            _ => SslAlert::UNSUPPORTED_EXTENSION,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ssl::{SslContext, SslMethod};

    /// No safe interface makes a server renegotiate, so the callbacks are called as OpenSSL calls them.
    #[test]
    fn each_handshake_begins_anew() {
        let context = SslContext::builder(SslMethod::tls_client()).unwrap().build();
        let mut ssl = Ssl::new(&context).unwrap();
        let exchange = SharedExchange::new(Offer::default());
        exchange.attach(&mut ssl).unwrap();
        let hello = ExtensionContext::TLS1_2_SERVER_HELLO;
        assert_eq!(client_hello(&ssl), Some(vec![1, 0, 3, 2, 1, 0]));
        assert_eq!(server_reply(&ssl, hello, &[1, 0, 1, 2]), Ok(()));
        assert_eq!(exchange.reply(), Some(vec![1, 0, 1, 2]));
        client_hello(&ssl);
        assert_eq!(exchange.reply(), None);
        assert_eq!(server_reply(&ssl, hello, &[1, 0, 1, 7]), Err(SslAlert::UNSUPPORTED_EXTENSION));
        assert_eq!(exchange.fault(), Some(ServerFault::KeyParametersNotOffered(7)));
        client_hello(&ssl);
        assert_eq!(exchange.fault(), None);
    }
}
