//! RFC 9440: the client's certificate for the backend, in `Client-Cert` and `Client-Cert-Chain`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The value of `Client-Cert`: the DER certificate as a Structured Field byte sequence (RFC 9440 §2.2).
#[must_use]
pub fn client_cert(der: &[u8]) -> String {
    let mut value = String::with_capacity(der.len().div_ceil(3) * 4 + 2);
    append_byte_sequence(&mut value, der);
    value
}

/// The value of `Client-Cert-Chain`: a list of byte sequences in the order of TLS, the client's own certificate not among
/// them (RFC 9440 §2.3). `None` when there is nothing to list, since an empty list is no field (RFC 9651 §4.1).
pub fn client_cert_chain<'d>(chain: impl IntoIterator<Item = &'d [u8]>) -> Option<String> {
    let mut value = String::new();
    for der in chain {
        if !value.is_empty() {
            value.push_str(", ");
        }
        append_byte_sequence(&mut value, der);
    }
    if value.is_empty() { None } else { Some(value) }
}

/// RFC 9651 §4.1.8: base64 with padding, between colons.
fn append_byte_sequence(value: &mut String, octets: &[u8]) {
    value.push(':');
    STANDARD.encode_string(octets, value);
    value.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_sequences_are_padded_and_of_the_standard_alphabet() {
        assert_eq!(client_cert(&[0xfb, 0xff]), ":+/8=:");
        assert_eq!(client_cert_chain([&[0u8][..], &[1, 2, 3]]).as_deref(), Some(":AA==:, :AQID:"));
        assert_eq!(client_cert_chain([]), None);
    }
}
