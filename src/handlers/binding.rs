//! After a handshake: takes what it proved, once, on the connection's own thread.

use std::sync::OnceLock;

use openssl::hash::MessageDigest;
use openssl::x509::X509;
use sender_constraint::thumbprint::Thumbprint;
use token_binding::context::TokenBindingContext;
use token_binding::{EKM_LEN, EXPORTER_LABEL, Ekm};

use crate::binding::{Binding, ClientCertificate, Messages, TlsConnection, TokenBinding};
use crate::connection::Connection;
use crate::counters::Count;
use crate::log;
use crate::pool::c_string;
use crate::tls::Ssl;

/// mod_ssl is about to begin with TLS on a connection from a client: from here on its handshakes are watched.
pub(crate) fn watch(connection: Connection<'_>, ssl: Ssl<'_>) {
    let tls = ssl.hold().map(|held| &*connection.pool().place(TlsConnection::new(held)));
    if let Some(tls) = tls.filter(|tls| ssl.attach(tls)) {
        connection.set_tls(tls);
    } else {
        log::connection!(
            connection,
            Warning,
            "connection: no room in OpenSSL's SSL object, Token Binding is not offered"
        );
    }
}

/// What requests on this connection are judged by; None where TLS is not in use, or its handshake not finished.
///
/// Renegotiation and post-handshake authentication change it in mid-connection, so the connection's own thread looks
/// again. Streams of HTTP/2, on other threads, take what was found before the first of them began: there is
/// no renegotiation under HTTP/2 (RFC 9113 §9.2.1).
pub(crate) fn current<'c>(connection: Connection<'c>) -> Option<&'c Binding> {
    let tls = connection.main().tls()?;
    if connection.is_secondary() {
        return tls.binding();
    }
    match tls.binding() {
        // TLS 1.3 has one handshake (RFC 8446 §4.1.2), after which nothing but the client's certificate can change.
        Some(binding) if binding.is_of_tls13 && tls.ssl.has_peer_certificate(binding.x509()) => Some(binding),
        _ => of_handshake(connection, tls),
    }
}

// Not inlined: it would make its caller, which every request passes, save registers for nothing.
#[inline(never)]
fn of_handshake<'c>(connection: Connection<'c>, tls: &'c TlsConnection<'c>) -> Option<&'c Binding> {
    if !tls.ssl.handshake_is_finished() {
        return None;
    }
    let server_random = tls.ssl.server_random();
    if let Some(binding) = tls.binding()
        && binding.server_random == server_random
        && tls.ssl.has_peer_certificate(binding.x509())
    {
        return Some(binding);
    }
    rebind(connection, tls, server_random)
}

/// What a handshake proved, or the client's certificate since.
#[cold]
fn rebind<'c>(
    connection: Connection<'c>,
    tls: &'c TlsConnection<'c>,
    server_random: [u8; 32],
) -> Option<&'c Binding> {
    let certificate = tls.ssl.peer_certificate();
    let binding = Binding {
        server_random,
        is_of_tls13: tls.ssl.is_tls13(),
        token_binding: token_binding(connection, tls, server_random),
        certificate: certificate
            .and_then(|x509| client_certificate(connection, x509, tls.ssl.peer_chain()))
            .map(Box::new),
    };
    if tls.binding().is_none() {
        let agreed = binding.token_binding.as_ref().map(|bound| bound.negotiated.key_parameters);
        connection.lane().add(Count::Connection { tls13: binding.is_of_tls13, agreed });
    }
    tls.bind(connection.pool().place(binding));
    tls.binding()
}

impl Binding {
    /// The certificate of when this was made. Held by reference, so its address is not reused.
    fn x509(&self) -> Option<&X509> {
        self.certificate.as_ref().map(|held| &held.x509)
    }
}

fn token_binding(
    connection: Connection<'_>,
    tls: &TlsConnection<'_>,
    server_random: [u8; 32],
) -> Option<TokenBinding> {
    let (negotiated, of_handshake) = tls.handshake.agreed.get()?;
    if of_handshake != server_random {
        return None;
    }
    // RFC 8472 §3: what the hellos promised must be in force.
    if !tls.ssl.is_tls13() && !tls.ssl.extended_master_secret() {
        return None;
    }
    let mut octets = [0; EKM_LEN];
    // RFC 8471 §3.3: the exporter without a context.
    if let Err(error) = tls.ssl.export_keying_material(&mut octets, EXPORTER_LABEL) {
        log::connection!(
            connection,
            Warning,
            "connection: OpenSSL cannot export keying material, so nothing is bound: {error}"
        );
        return None;
    }
    let ekm = Ekm::new(octets);
    log::connection!(
        connection,
        Debug,
        "connection: Token Binding {}.{} negotiated, {}",
        negotiated.version.major,
        negotiated.version.minor,
        negotiated.key_parameters
    );
    let context = c_string(TokenBindingContext::encode(&negotiated, &ekm));
    Some(TokenBinding { negotiated, ekm, context, messages: Messages::default() })
}

/// RFC 8705 §3.1: SHA-256 over the DER certificate.
fn client_certificate(connection: Connection<'_>, x509: X509, chain: Vec<X509>) -> Option<ClientCertificate> {
    let digest = match x509.digest(MessageDigest::sha256()) {
        Ok(digest) => <[u8; 32]>::try_from(&*digest).ok()?,
        Err(error) => {
            log::connection!(
                connection,
                Warning,
                "connection: OpenSSL cannot hash the client certificate: {error}"
            );
            return None;
        }
    };
    let x5t = Thumbprint::from_digest(digest);
    let thumbprint = c_string(x5t.to_base64url());
    Some(ClientCertificate { x509, chain, thumbprint, x5t, fields: OnceLock::new() })
}
