//! `ClientCertForward`: the client's certificate for the backend (RFC 9440).

use std::ffi::{CStr, CString};

use openssl::x509::X509;
use sender_constraint::client_cert_header::{client_cert, client_cert_chain};
use token_binding::reserved;

use crate::binding::{ClientCertFields, ClientCertificate};
use crate::config::Forward;
use crate::handlers::binding;
use crate::log;
use crate::pool::c_string;
use crate::request::Request;

/// When the location is known, and again just before the handler: mod_dir may have put another location under the request.
/// Both fields were stripped when the request arrived.
#[inline]
pub(crate) fn headers(request: Request<'_>) {
    let forward = request.dir_config().client_cert_forward();
    if forward != Forward::Off {
        set_headers(request, forward);
    }
}

// Not inlined: it would make its caller, which every request passes, save registers for nothing.
#[inline(never)]
fn set_headers(request: Request<'_>, forward: Forward) {
    // RFC 9440 §2.4: nothing where there is no certificate.
    let certificate =
        binding::current(request.connection()).and_then(|binding| binding.certificate.as_deref());
    let Some(certificate) = certificate else { return };
    let fields = certificate.fields.get_or_init(|| encode(request, certificate));
    let headers = request.headers_in();
    let Some(client_cert) = &fields.client_cert else { return };
    headers.set(reserved::CLIENT_CERT, client_cert);
    // RFC 9440 §2.3: the chain never without the certificate.
    match &fields.client_cert_chain {
        Some(chain) if forward == Forward::Chain => headers.set(reserved::CLIENT_CERT_CHAIN, chain),
        _ => headers.unset(reserved::CLIENT_CERT_CHAIN),
    }
}

fn encode(request: Request<'_>, certificate: &ClientCertificate) -> ClientCertFields {
    let der = |x509: &X509| x509.to_der().ok();
    let chain: Option<Vec<Vec<u8>>> = certificate.chain.iter().map(der).collect();
    let chain = chain.and_then(|chain| client_cert_chain(chain.iter().map(Vec::as_slice)));
    ClientCertFields {
        client_cert: der(&certificate.x509)
            .and_then(|der| fits(request, reserved::CLIENT_CERT, client_cert(&der))),
        client_cert_chain: chain.and_then(|chain| fits(request, reserved::CLIENT_CERT_CHAIN, chain)),
    }
}

/// RFC 9440 §3.2: a field that is larger than what this server itself would take is not sent, and never a part of it.
fn fits(request: Request<'_>, name: &CStr, value: String) -> Option<CString> {
    let limit = request.field_size_limit();
    if value.len() <= limit {
        return Some(c_string(value));
    }
    log::request!(
        request,
        Error,
        "client certificate: {} has {} octets, more than LimitRequestFieldSize {limit}: not sent to the backend, \
         which would answer 431",
        name.to_string_lossy(),
        value.len()
    );
    None
}
