//! OpenSSL's side of mod_ssl's connections: extension 24 through the custom extension API, and what a handshake left behind.
//!
//! Nothing here is registered with a destructor or a closure: OpenSSL keeps function pointers beyond a restart.

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::ssl::SslRef;
use openssl::x509::X509;
use openssl_sys as sys;
use token_binding::negotiation::EXTENSION_TYPE;

use crate::binding::TlsConnection;
use crate::config::ServerConfig;
use crate::handlers::negotiation::{self, Hello};
use crate::{ffi, guard};

/// extended_master_secret, RFC 7627 §5.1.
const EXTENDED_MASTER_SECRET: c_uint = 23;

/// An `SSL` that mod_ssl made. mod_ssl frees it when a handshake fails, while the connection goes on to its end: whoever
/// looks at it later holds a reference ([`Held`]).
#[derive(Clone, Copy)]
pub(crate) struct Ssl<'c> {
    raw: NonNull<sys::SSL>,
    lives: PhantomData<&'c SslRef>,
}

impl<'c> Ssl<'c> {
    /// # Safety
    /// `raw` is null or the `SSL` of a connection that outlives `'c`.
    pub(crate) unsafe fn from_raw(raw: *mut sys::SSL) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, lives: PhantomData })
    }

    fn get(&self) -> &'c SslRef {
        // SAFETY: live for 'c; used on the connection's own thread only.
        unsafe { SslRef::from_ptr(self.raw.as_ptr()) }
    }

    pub(crate) fn handshake_is_finished(&self) -> bool {
        self.get().is_init_finished()
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.get().version2() == Some(openssl::ssl::SslVersion::TLS1_3)
    }

    /// Keeps the `SSL` from being freed; `None` where OpenSSL cannot.
    pub(crate) fn hold(self) -> Option<Held<'c>> {
        // SAFETY: counts a reference to a live SSL.
        (unsafe { ffi::SSL_up_ref(self.raw.as_ptr()) } == 1).then_some(Held(self))
    }

    /// Our own random: it tells one handshake from another on the same connection, and no client can choose it.
    pub(crate) fn server_random(&self) -> [u8; 32] {
        let mut random = [0; 32];
        self.get().server_random(&mut random);
        random
    }

    /// TLS 1.2 and older, after the handshake: extended_master_secret is in force.
    pub(crate) fn extended_master_secret(&self) -> bool {
        self.get().extms_support() == Some(true)
    }

    /// Fills `out` from the exporter: RFC 5705 §4 without a context, RFC 8446 §7.5.
    pub(crate) fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &str,
    ) -> Result<(), openssl::error::ErrorStack> {
        self.get().export_keying_material(out, label, None)
    }

    pub(crate) fn peer_certificate(&self) -> Option<X509> {
        self.get().peer_certificate()
    }

    /// The certificate that the client presented last is this one: the same object, which costs no look inside.
    pub(crate) fn has_peer_certificate(&self, held: Option<&X509>) -> bool {
        // SAFETY: reads the state of a live SSL.
        let presented = unsafe { ffi::SSL_get0_peer_certificate(self.raw.as_ptr()) };
        held.map_or(null_mut(), ForeignType::as_ptr) == presented
    }

    /// What the client sent above its own certificate. A resumed session does not have it.
    pub(crate) fn peer_chain(&self) -> Vec<X509> {
        // OpenSSL leaves the client's own certificate out of the chain that a server sees.
        self.get()
            .peer_cert_chain()
            .map(|chain| chain.iter().map(ToOwned::to_owned).collect())
            .unwrap_or_default()
    }

    /// Remembers the connection for the extension's callbacks, which get the `SSL` alone.
    pub(crate) fn attach(&self, tls: &'c TlsConnection<'c>) -> bool {
        let Some(index) = ex_data_index() else { return false };
        let data = std::ptr::from_ref(tls).cast_mut().cast();
        // SAFETY: the index is registered without callbacks; the connection's state outlives the SSL, whose cleanup
        // mod_ssl registers with the same pool.
        unsafe { sys::SSL_set_ex_data(self.raw.as_ptr(), index, data) == 1 }
    }

    fn attached(&self) -> Option<&'c TlsConnection<'c>> {
        let index = ex_data_index()?;
        // SAFETY: reads the slot of a live SSL.
        let data = unsafe { sys::SSL_get_ex_data(self.raw.as_ptr(), index) };
        // SAFETY: null or what `attach` stored.
        unsafe { data.cast::<TlsConnection<'c>>().as_ref() }
    }

    /// During the ClientHello: an extension of that type is in it.
    fn client_hello_has(&self, extension: c_uint) -> bool {
        // SAFETY: called from the parse callback, where OpenSSL still holds the ClientHello; null results are allowed.
        unsafe { sys::SSL_client_hello_get0_ext(self.raw.as_ptr(), extension, null_mut(), null_mut()) == 1 }
    }

    /// Secure renegotiation is being negotiated: OpenSSL found the extension or the signalling cipher suite of RFC 5746 §3.3.
    fn renegotiation_info(&self) -> bool {
        // SAFETY: reads the state of a live SSL.
        unsafe { sys::SSL_ctrl(self.raw.as_ptr(), ffi::SSL_CTRL_GET_RI_SUPPORT, 0, null_mut()) == 1 }
    }

    /// The server's own configuration allows extended_master_secret.
    fn allows_extended_master_secret(&self) -> bool {
        // SAFETY: reads an option of a live SSL.
        unsafe { ffi::SSL_get_options(self.raw.as_ptr()) & ffi::SSL_OP_NO_EXTENDED_MASTER_SECRET == 0 }
    }

    fn early_data_accepted(&self) -> bool {
        // SAFETY: reads the state of a live SSL.
        unsafe { ffi::SSL_get_early_data_status(self.raw.as_ptr()) == ffi::SSL_EARLY_DATA_ACCEPTED }
    }
}

/// A reference to an `SSL`, given back when dropped.
pub(crate) struct Held<'c>(Ssl<'c>);

impl<'c> std::ops::Deref for Held<'c> {
    type Target = Ssl<'c>;

    fn deref(&self) -> &Ssl<'c> {
        &self.0
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference that `hold` counted.
        unsafe { sys::SSL_free(self.0.raw.as_ptr()) };
    }
}

/// Our slot in every `SSL`: one for the life of the process, without callbacks, so that nothing dangles after a restart.
fn ex_data_index() -> Option<c_int> {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    let index = *INDEX.get_or_init(|| {
        // SAFETY: no callbacks, no arguments.
        unsafe { sys::CRYPTO_get_ex_new_index(sys::CRYPTO_EX_INDEX_SSL, 0, null_mut(), None, None, None) }
    });
    (index >= 0).then_some(index)
}

/// Answers extension 24 in handshakes under `context`, as `config` says. False: OpenSSL refused.
///
/// # Safety
/// `context` is live, and `config` lives as long as it: both belong to one generation of the configuration.
pub(crate) unsafe fn register_extension(context: *mut sys::SSL_CTX, config: &ServerConfig) -> bool {
    // RFC 8472 §2: ClientHello and ServerHello; draft-ietf-tokbind-tls13 §2: ClientHello and EncryptedExtensions.
    let places = sys::SSL_EXT_CLIENT_HELLO
        | sys::SSL_EXT_TLS1_2_SERVER_HELLO
        | sys::SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS;
    let argument = std::ptr::from_ref(config).cast_mut().cast::<c_void>();
    // Registered here, in the parent and before any connection, so that no handshake pays for it.
    ex_data_index();
    // SAFETY: the callbacks are plain functions of a library that is never unmapped.
    unsafe {
        sys::SSL_CTX_add_custom_ext(
            context,
            c_uint::from(EXTENSION_TYPE),
            places,
            Some(add_extension),
            None,
            argument,
            Some(parse_extension),
            argument,
        ) == 1
    }
}

/// OpenSSL asks for our answer. 1: send it; 0: leave it out; -1: fatal alert.
unsafe extern "C" fn add_extension(
    ssl: *mut sys::SSL,
    _extension: c_uint,
    _place: c_uint,
    out: *mut *const c_uchar,
    out_length: *mut usize,
    _certificate: *mut sys::X509,
    _chain_index: usize,
    alert: *mut c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: alert points to the value that goes out when the callback returns -1.
    unsafe { *alert = sys::SSL_AD_INTERNAL_ERROR };
    guard::handshake(-1, || {
        // SAFETY: OpenSSL passes its SSL.
        let ssl = unsafe { Ssl::from_raw(ssl) };
        // SAFETY: the argument given to register_extension.
        let config = unsafe { argument.cast::<ServerConfig>().as_ref() };
        let (Some(ssl), Some(config)) = (ssl, config) else { return 0 };
        let Some(tls) = ssl.attached() else { return 0 };
        let hello = Hello {
            tls13: ssl.is_tls13(),
            renegotiation_info: ssl.renegotiation_info(),
            early_data_accepted: ssl.early_data_accepted(),
            server_random: ssl.server_random(),
        };
        let Some(answer) = negotiation::answer(tls, config, hello) else {
            return 0;
        };
        // SAFETY: OpenSSL wants the answer here; it is kept with the connection until the next handshake.
        unsafe { *out = answer.as_ptr().cast() };
        // SAFETY: as above.
        unsafe { *out_length = answer.len() };
        1
    })
}

/// OpenSSL hands over the client's extension. 1: go on; 0: fatal alert.
unsafe extern "C" fn parse_extension(
    ssl: *mut sys::SSL,
    _extension: c_uint,
    _place: c_uint,
    data: *const c_uchar,
    length: usize,
    _certificate: *mut sys::X509,
    _chain_index: usize,
    alert: *mut c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: alert points to the value that goes out when the callback returns 0.
    unsafe { *alert = sys::SSL_AD_INTERNAL_ERROR };
    guard::handshake(0, || {
        // SAFETY: OpenSSL passes its SSL.
        let ssl = unsafe { Ssl::from_raw(ssl) };
        // SAFETY: the argument given to register_extension.
        let config = unsafe { argument.cast::<ServerConfig>().as_ref() };
        let (Some(ssl), Some(config)) = (ssl, config) else { return 1 };
        let Some(tls) = ssl.attached() else { return 1 };
        let data = if data.is_null() {
            &[]
        } else {
            // SAFETY: OpenSSL passes that many octets; they stay until the callback returns.
            unsafe { std::slice::from_raw_parts(data, length) }
        };
        let extended_master_secret =
            ssl.client_hello_has(EXTENDED_MASTER_SECRET) && ssl.allows_extended_master_secret();
        match negotiation::offer(tls, config, data, extended_master_secret) {
            Ok(()) => 1,
            Err(_malformed) => {
                // RFC 8446 §6.2, RFC 5246 §7.2.2: a vector that does not parse.
                // SAFETY: as above.
                unsafe { *alert = sys::SSL_AD_DECODE_ERROR };
                0
            }
        }
    })
}
