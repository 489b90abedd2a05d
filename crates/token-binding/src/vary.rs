//! Which responses no cache outside may keep.
//!
//! An application may vary its answer with a field that this server adds to the request. Whatever keeps answers on the way to
//! the client, this server's own cache among them, never sees that field: for them, the answer varies with everything.

use crate::pass::{Item, Pass};
use crate::reserved;

/// Whether a value of `Vary` names a field that an application is told here: of Token Binding what `pass` says, and those of
/// the certificate if these are `forwarded`; or the message itself, which is taken out of a request before a cache of this
/// server looks at it. Then it has to be `*`.
// RFC 9440 §2.4 for the certificate; the IDs are no different.
#[must_use]
pub fn is_for_nobody(vary: &[u8], pass: Pass, forwarded: bool) -> bool {
    let told = |item| pass.variable(item) || pass.header(item);
    let names = [
        (reserved::MESSAGE, true),
        (reserved::PROVIDED, told(Item::Provided)),
        (reserved::REFERRED, told(Item::Referred)),
        (reserved::OTHER, told(Item::Other)),
        (reserved::CONTEXT, told(Item::Context)),
        (reserved::SEC_CONTEXT, told(Item::Context)),
        (reserved::CLIENT_CERT, forwarded),
        (reserved::CLIENT_CERT_CHAIN, forwarded),
    ];
    vary.split(|octet| *octet == b',')
        .map(<[u8]>::trim_ascii)
        .any(|field| names.iter().any(|(name, told)| *told && field.eq_ignore_ascii_case(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_here_and_nothing_else() {
        let all = Pass::default();
        for vary in [
            "Sec-Provided-Token-Binding-ID",
            "accept , sec-referred-token-binding-id",
            "Sec-Other-Token-Binding-ID,Accept",
            "Accept,\tTOKEN-BINDING-CONTEXT\t,Cookie",
            "Sec-Token-Binding-Context",
        ] {
            assert!(is_for_nobody(vary.as_bytes(), all, false), "{vary}");
            let none = Pass::from_words(["none"]).unwrap();
            assert!(!is_for_nobody(vary.as_bytes(), none, true), "{vary}");
        }
        let provided = Pass::from_words(["provided"]).unwrap();
        assert!(is_for_nobody(b"Sec-Provided-Token-Binding-ID", provided, false));
        assert!(!is_for_nobody(b"Sec-Referred-Token-Binding-ID, Token-Binding-Context", provided, false));
        for vary in ["Client-Cert", "Accept, client-cert-chain"] {
            assert!(is_for_nobody(vary.as_bytes(), provided, true), "{vary}");
            assert!(!is_for_nobody(vary.as_bytes(), all, false), "{vary}");
        }
        let none = Pass::from_words(["none"]).unwrap();
        assert!(is_for_nobody(b"sec-token-binding", none, false));
        // Names are compared in full.
        for vary in
            ["", ",", "*", "Accept", "Sec-Token-Bindin", "Client-Certificate", "Token Binding Context"]
        {
            assert!(!is_for_nobody(vary.as_bytes(), all, true), "{vary}");
        }
    }
}
