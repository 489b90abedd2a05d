//! The client certificate's thumbprint for applications, logs and mod_auth_openidc.

use token_binding::reserved;

use crate::binding::Binding;
use crate::handlers::binding;
use crate::request::Request;

/// Sets the variable where there is a certificate.
pub(crate) fn variable<'r>(request: Request<'r>, binding: Option<&'r Binding>) {
    if let Some(certificate) = binding.and_then(|binding| binding.certificate.as_deref()) {
        request.variables().set(reserved::FINGERPRINT, &certificate.thumbprint);
    }
}

/// After mod_ssl's access check, which may have asked for a certificate: by renegotiation (TLS 1.2) or post-handshake
/// authentication (TLS 1.3). The request's Token Binding was judged under the handshake it was sent in, and stays so.
pub(crate) fn after_access(request: Request<'_>) {
    // Not only where it is another than at the last look: a subrequest may have had it asked for, and looked first.
    variable(request, binding::current(request.connection()));
}
