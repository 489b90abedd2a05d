//! Token introspection (RFC 7662).

use serde_json::Value;
use zeroize::Zeroizing;

use crate::client_auth::ClientAuth;
use crate::exchange::{Answer, Endpoint, Exchange};
use crate::form;
use crate::json::{self, Object};
use crate::options::{OptionError, Options};
use crate::refusal::Outage;

/// How to ask about a token.
pub struct Introspection {
    auth: ClientAuth,
    token_parameter: String,
    /// More parameters, ready to be sent.
    parameters: String,
}

/// What the authorization server says about a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Introspected {
    /// It is good, and these are its claims.
    Active(Object),
    /// It is not, for whatever reason (RFC 7662 §2.2: no reason is given).
    Inactive,
}

impl Introspection {
    /// Takes the settings from the options. `audience` is that of assertions, where it is known.
    ///
    /// # Errors
    ///
    /// Missing credentials, or parameters that are not form-encoded.
    pub fn from_options(options: &Options, audience: Option<&str>) -> Result<Self, OptionError> {
        let mut parameters = String::new();
        for (name, value) in form::pairs(options.text("introspect.params").unwrap_or_default().as_bytes()) {
            let text = |encoded| {
                form::decode(encoded)
                    .ok()
                    .and_then(|octets| String::from_utf8(octets).ok())
                    .ok_or_else(|| OptionError::Encoding("introspect.params".into()))
            };
            form::append(&mut parameters, &text(name)?, &text(value)?);
        }
        let token_parameter = options.text("introspect.token_param_name").unwrap_or("token").to_owned();
        Ok(Self { auth: ClientAuth::from_options(options, audience)?, token_parameter, parameters })
    }

    /// How this server authenticates itself.
    #[must_use]
    pub const fn auth(&self) -> &ClientAuth {
        &self.auth
    }

    /// The request to send (RFC 7662 §2.1). `issuer`: the metadata's, if there is metadata.
    ///
    /// # Errors
    ///
    /// [`Outage::Crypto`].
    pub fn request<'e>(
        &self,
        endpoint: &'e Endpoint,
        token: &str,
        issuer: Option<&str>,
        now: i64,
    ) -> Result<Exchange<'e>, Outage> {
        let mut form = Zeroizing::new(String::with_capacity(token.len() + 256));
        form::append(&mut form, &self.token_parameter, token);
        form::append(&mut form, "token_type_hint", "access_token");
        if !self.parameters.is_empty() {
            form.push('&');
            form.push_str(&self.parameters);
        }
        let authorization = self.auth.apply(&mut form, issuer, now)?;
        let headers = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        Ok(Exchange { endpoint, headers, form: Some(form) })
    }
}

/// Reads the answer (RFC 7662 §2.2).
///
/// # Errors
///
/// Anything but a JSON object with a boolean `active` under status 200: the authorization server's fault, so the token
/// is neither good nor bad.
pub fn read_answer(answer: &Answer) -> Result<Introspected, Outage> {
    if answer.status != 200 {
        return Err(Outage::Status(answer.status));
    }
    let object = json::parse_object(&answer.body).map_err(|fault| Outage::Answer(fault.to_string()))?;
    match object.get("active") {
        Some(Value::Bool(true)) => Ok(Introspected::Active(object)),
        Some(Value::Bool(false)) => Ok(Introspected::Inactive),
        // a string "true" is not true
        _ => Err(Outage::Answer("\"active\" is not true or false".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use std::time::Duration;

    fn introspection(options: &str) -> Result<Introspection, OptionError> {
        let (options, _) = Options::parse(options.as_bytes(), &[schema::INTROSPECT, schema::CLIENT])?;
        Introspection::from_options(&options, None)
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "https://as/introspect".into(),
            verify_tls: true,
            ca_file: None,
            client_certificate: None,
            proxy: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn requests() {
        let endpoint = endpoint();
        let plain = introspection("").unwrap();
        let request = plain.request(&endpoint, "a/b+c=", None, 0).unwrap();
        assert_eq!(request.form.unwrap().as_str(), "token=a%2Fb%2Bc%3D&token_type_hint=access_token");
        assert!(request.headers.is_empty());
        let full = introspection(
            "introspect.token_param_name=t&introspect.params=a%3D1%26b%3Dx%2520y&introspect.auth=basic&username=u&password=p",
        )
        .unwrap();
        let request = full.request(&endpoint, "x", None, 0).unwrap();
        assert_eq!(request.form.unwrap().as_str(), "t=x&token_type_hint=access_token&a=1&b=x%20y");
        assert_eq!(request.headers[0].0, "Authorization");
        assert!(introspection("introspect.params=a%3D%25zz").is_err());
    }

    #[test]
    fn only_the_boolean_true_is_active() {
        let read = |body: &str| {
            read_answer(&Answer { status: 200, cache_control: None, body: body.as_bytes().to_vec() })
        };
        assert!(matches!(read(r#"{"active":true,"sub":"joe"}"#), Ok(Introspected::Active(_))));
        assert_eq!(read(r#"{"active":false,"sub":"joe"}"#), Ok(Introspected::Inactive));
        for body in [
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":[true]}"#,
            "{}",
            "true",
            "",
            "[]",
            "<html>",
            r#"{"active":false,"active":true}"#,
        ] {
            assert!(matches!(read(body), Err(Outage::Answer(_))), "{body}");
        }
    }

    #[test]
    fn any_other_status_is_an_outage() {
        for status in [201, 204, 302, 400, 401, 403, 404, 500, 503] {
            let answer = Answer { status, body: br#"{"active":true}"#.to_vec(), ..Answer::default() };
            assert_eq!(read_answer(&answer), Err(Outage::Status(status)));
        }
    }
}
