//! Request fields that only the server may set: whatever a client sends under these names is removed.
//!
//! A header injected by a client does not fail safe: everything seems to work while the client can claim any ID.
//! So the names are compared the way CGI and its descendants see them: case, and every character that is neither letter
//! nor digit, make no difference (`Sec_Provided-Token.Binding ID` becomes `HTTP_SEC_PROVIDED_TOKEN_BINDING_ID` somewhere).

use std::ffi::CStr;

/// Header field and variable: the provided Token Binding ID. draft-ietf-tokbind-ttrp §2.1.
pub const PROVIDED: &CStr = c"Sec-Provided-Token-Binding-ID";
/// Header field and variable: the referred Token Binding ID. draft-ietf-tokbind-ttrp §2.1.
pub const REFERRED: &CStr = c"Sec-Referred-Token-Binding-ID";
/// Header field and variable: IDs of other types. draft-ietf-tokbind-ttrp §2.1.
pub const OTHER: &CStr = c"Sec-Other-Token-Binding-ID";
/// Header field and variable: version, key parameters and EKM. draft-campbell-tokbind-tls-term §2.
pub const CONTEXT: &CStr = c"Token-Binding-Context";
/// The same under the name that mod_token_binding 1.x gave it.
pub const SEC_CONTEXT: &CStr = c"Sec-Token-Binding-Context";
/// Header field of the message itself. RFC 8473 §2.
pub const MESSAGE: &CStr = c"Sec-Token-Binding";
/// Header field: the client's certificate. RFC 9440 §2.2.
pub const CLIENT_CERT: &CStr = c"Client-Cert";
/// Header field: the certificates above it. RFC 9440 §2.3.
pub const CLIENT_CERT_CHAIN: &CStr = c"Client-Cert-Chain";
/// Variable: `x5t#S256` of the client certificate, the name that mod_auth_openidc reads.
pub const FINGERPRINT: &CStr = c"TB_SSL_CLIENT_CERT_FINGERPRINT";

/// What is to be done with a request field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nobody's business.
    Free,
    /// Only the server may set it: removed.
    Reserved,
    /// `Sec-Token-Binding` itself, spelt as RFC 8473 §2 spells it: read, then removed.
    Message,
}

/// The reserved names, in lower case and with hyphens.
// draft-ietf-tokbind-ttrp §2.3: the three of TTRP, also where Token Binding was not negotiated.
// draft-campbell-tokbind-tls-term §2: the context. RFC 9440 §2.4: certificates.
const RESERVED_NAMES: [&[u8]; 8] = [
    b"sec-provided-token-binding-id",
    b"sec-referred-token-binding-id",
    b"sec-other-token-binding-id",
    b"sec-token-binding-context",
    b"token-binding-context",
    b"tb-ssl-client-cert-fingerprint",
    b"client-cert",
    b"client-cert-chain",
];
const MESSAGE_NAME: &[u8] = b"sec-token-binding";

/// False where no name that begins with `initial` is reserved: most fields need no further look.
#[must_use]
pub const fn may_be_reserved(initial: u8) -> bool {
    matches!(initial, b's' | b'S' | b't' | b'T' | b'c' | b'C')
}

/// The lengths of all names here, one bit each: most fields need no further look.
const LENGTHS: u32 = {
    let mut lengths = 1 << MESSAGE_NAME.len();
    let mut names: &[&[u8]] = &RESERVED_NAMES;
    while let [name, others @ ..] = names {
        lengths |= 1 << name.len();
        names = others;
    }
    lengths
};

/// Judges a field by its name.
#[must_use]
pub fn classify(name: &[u8]) -> Field {
    if name.len() >= 32 || LENGTHS & 1 << name.len() == 0 {
        return Field::Free;
    }
    if name.eq_ignore_ascii_case(MESSAGE_NAME) {
        Field::Message
    } else if same_for_cgi(name, MESSAGE_NAME)
        || RESERVED_NAMES.iter().any(|reserved| same_for_cgi(name, reserved))
    {
        Field::Reserved
    } else {
        Field::Free
    }
}

/// `reserved` is in lower case and has hyphens alone between its letters.
fn same_for_cgi(name: &[u8], reserved: &[u8]) -> bool {
    name.len() == reserved.len()
        && name.iter().zip(reserved).all(|(&ours, &theirs)| match theirs {
            b'-' => !ours.is_ascii_alphanumeric(),
            letter => ours.to_ascii_lowercase() == letter,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_cgi_takes_for_the_name_is_reserved() {
        for name in [
            "Sec-Provided-Token-Binding-ID",
            "sec_provided_token_binding_id",
            "SEC-REFERRED_TOKEN-BINDING.ID",
            "Sec-Other-Token-Binding-ID",
            "Sec-Token-Binding-Context",
            "Token_Binding-Context",
            "TB-SSL-CLIENT-CERT-FINGERPRINT",
            "TB_SSL_CLIENT_CERT_FINGERPRINT",
            "client_cert",
            "Client-Cert-Chain",
            "Sec_Token_Binding",
        ] {
            assert_eq!(classify(name.as_bytes()), Field::Reserved, "{name}");
        }
    }

    #[test]
    fn the_message_is_known_by_its_own_name_only() {
        assert_eq!(classify(b"Sec-Token-Binding"), Field::Message);
        assert_eq!(classify(b"SEC-TOKEN-BINDING"), Field::Message);
        assert_eq!(classify(b"sec-token_binding"), Field::Reserved);
    }

    #[test]
    fn other_fields_are_left_alone() {
        for name in [
            "",
            "-",
            "Cookie",
            "Sec-Fetch-Site",
            "Client-Certificate",
            "Sec-Token-Binding-",
            "XSec-Token-Binding",
        ] {
            assert_eq!(classify(name.as_bytes()), Field::Free, "{name}");
        }
    }

    #[test]
    fn what_the_server_sets_is_reserved() {
        for name in
            [PROVIDED, REFERRED, OTHER, CONTEXT, SEC_CONTEXT, FINGERPRINT, CLIENT_CERT, CLIENT_CERT_CHAIN]
        {
            assert_eq!(classify(name.to_bytes()), Field::Reserved, "{name:?}");
        }
        assert_eq!(classify(MESSAGE.to_bytes()), Field::Message);
    }

    #[test]
    fn the_quick_test_lets_no_reserved_name_through() {
        for name in RESERVED_NAMES.iter().chain([&MESSAGE_NAME]) {
            let initial = name[0];
            assert!(may_be_reserved(initial) && may_be_reserved(initial.to_ascii_uppercase()));
        }
    }
}
