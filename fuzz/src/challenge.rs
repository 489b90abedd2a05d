//! `WWW-Authenticate`: whatever stands in AuthName or a scope, the field is one challenge that says just that.

use sender_constraint::challenge::{Scheme, www_authenticate};
use sender_constraint::cnf::{ConfirmationFault, Method};
use sender_constraint::refusal::{Outage, Refusal, TokenFault};

use crate::input::Choices;
use crate::{fit_for_a_header, slow};

/// A refusal, a scheme, a scope, and any octets as AuthName.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let refusal = refusal(&mut choices);
    let scheme = if choices.rarely(4) { Scheme::Basic } else { Scheme::Bearer };
    let realm = (!choices.rarely(4)).then(|| choices.rest());
    let Some(value) = www_authenticate(&refusal, scheme, realm) else {
        return assert_eq!(refusal.status(), 503);
    };
    fit_for_a_header(&value);
    let (name, parameters) = slow::challenge::parse(&value).expect("one challenge");
    assert_eq!(name, if scheme == Scheme::Bearer { "Bearer" } else { "Basic" });
    // RFC 9110 §11.2: each parameter once
    let get = |name: &str| {
        let mut values = parameters.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        (values.next().cloned(), values.next()).0
    };
    assert!(
        parameters
            .iter()
            .enumerate()
            .all(|(at, (one, _))| parameters[..at].iter().all(|(two, _)| one != two))
    );
    let errors = scheme == Scheme::Bearer;
    assert_eq!(get("error").as_deref(), refusal.error().filter(|_| errors).map(str::as_bytes));
    assert_eq!(
        get("error_description").as_deref(),
        refusal.description().filter(|_| errors).map(str::as_bytes)
    );
    let blank = |octet: &u8| if *octet < 0x20 || *octet == 0x7f { b' ' } else { *octet };
    match realm {
        Some(realm) => assert_eq!(get("realm"), Some(realm.iter().map(blank).collect())),
        None => assert!(get("realm").is_none_or(|realm| realm.is_empty())),
    }
    if let Some(scope) = get("scope") {
        // RFC 6749 §3.3
        assert!(scope.iter().all(|octet| matches!(octet, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }
}

fn refusal(choices: &mut Choices<'_>) -> Refusal {
    let method = *choices.one(&[Method::ClientCertificate, Method::TokenBinding]);
    match choices.below(12) {
        0 => Refusal::NoToken,
        1 => Refusal::SeveralTokens,
        2 => Refusal::MalformedRequest("x"),
        3 => Refusal::InsufficientScope { scope: None },
        4 | 5 => Refusal::InsufficientScope { scope: Some(choices.text()) },
        6 => Outage::Transport(choices.text()).into(),
        7 => TokenFault::Expired.into(),
        8 => TokenFault::Missing("exp").into(),
        9 => TokenFault::Confirmation(ConfirmationFault::Missing(method)).into(),
        10 => TokenFault::Confirmation(ConfirmationFault::Mismatch(method)).into(),
        _ => TokenFault::NoUser.into(),
    }
}
