//! During the handshake: what the client asked for, and what we answer.

use token_binding::{ClientOffer, Handshake, MalformedExtension, negotiate};

use crate::binding::{Offer, TlsConnection};
use crate::config::ServerConfig;

/// What OpenSSL knows of a handshake by the time the server's hello is written.
pub(crate) struct Hello {
    pub(crate) tls13: bool,
    pub(crate) renegotiation_info: bool,
    pub(crate) early_data_accepted: bool,
    pub(crate) server_random: [u8; 32],
}

/// A ClientHello with extension 24 arrived.
pub(crate) fn offer(
    tls: &TlsConnection<'_>,
    config: &ServerConfig,
    data: &[u8],
    extended_master_secret: bool,
) -> Result<(), MalformedExtension> {
    // RFC 8472 §4: the result is that of this handshake; nothing of an earlier one, or of a first ClientHello, remains.
    tls.handshake.offer.set(None);
    tls.handshake.agreed.set(None);
    if config.enabled() {
        let client = ClientOffer::parse(data)?;
        tls.handshake.offer.set(Some(Offer { client, extended_master_secret }));
    }
    Ok(())
}

/// The server's hello is being written: the extension's data, or nothing. It stays where it is until the next handshake.
pub(crate) fn answer<'t>(
    tls: &'t TlsConnection<'_>,
    config: &ServerConfig,
    hello: Hello,
) -> Option<&'t [std::cell::Cell<u8>]> {
    if !config.enabled() {
        return None;
    }
    let Offer { client, extended_master_secret } = tls.handshake.offer.get()?;
    let handshake = Handshake {
        tls13: hello.tls13,
        extended_master_secret,
        renegotiation_info: hello.renegotiation_info,
        early_data_accepted: hello.early_data_accepted,
    };
    let agreed = negotiate(&client, &config.key_parameters(), handshake).ok()?;
    tls.handshake.agreed.set(Some((agreed, hello.server_random)));
    tls.handshake.answer.set(agreed.extension_data());
    Some(tls.handshake.answer.as_array_of_cells())
}
