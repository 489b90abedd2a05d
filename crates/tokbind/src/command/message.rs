//! `tokbind decode` and `tokbind verify`.

use super::{Failure, key::id_members, output};
use clap::Args;
use serde_json::{Value, json};
use token_binding::message::{PublicKey, TokenBinding, TokenBindingMessage, TokenBindingType};
use token_binding::{
    EKM_LEN, Ekm, KeyParameters, Negotiated, ProtocolVersion, Rejection, Verified, VerifiedId, base64url,
    parse_field_value,
};

#[derive(Args)]
#[command(after_help = "Example:\n  tokbind decode --json \"$SEC_TOKEN_BINDING\"")]
pub(super) struct DecodeOptions {
    /// The value of a Sec-Token-Binding field
    #[arg(value_name = "HEADER", allow_hyphen_values = true)]
    header: String,
    /// Print JSON: {"length": ..., "bindings": [...]}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  tokbind verify --ekm \"$EKM\" --key-parameters ecdsap256 \"$SEC_TOKEN_BINDING\"

Exit code 0: valid. 1: invalid; the reason is on stderr.")]
pub(super) struct VerifyOptions {
    /// The keying material exported from the connection: 32 octets in base64url without padding, 43 characters
    #[arg(long, value_name = "B64URL", allow_hyphen_values = true)]
    ekm: String,
    /// What the connection negotiated: ecdsap256, rsa2048_pss or rsa2048_pkcs1.5
    #[arg(long, value_name = "NAME")]
    key_parameters: KeyParameters,
    /// The value of a Sec-Token-Binding field
    #[arg(value_name = "HEADER", allow_hyphen_values = true)]
    header: String,
    /// Print JSON: {"valid": true, "provided": ..., "referred": ..., "other": [...]} or {"valid": false, "label": ..., "reason": ...}
    #[arg(long)]
    json: bool,
}

pub(super) fn decode(options: &DecodeOptions) -> Result<(), Failure> {
    let rejected = |rejection: Rejection| Failure::Refused(rejection.to_string());
    let octets = parse_field_value(options.header.as_bytes()).map_err(rejected)?;
    let message = TokenBindingMessage::parse(&octets).map_err(|error| rejected(error.into()))?;
    if options.json {
        let bindings = message.bindings().iter().map(binding_json).collect::<Vec<_>>();
        return output::json(&json!({ "length": octets.len(), "bindings": bindings }));
    }
    output::line(&format!("token binding message: {} octets", octets.len()))?;
    for (number, binding) in (1..).zip(message.bindings()) {
        output::line(&binding_text(number, binding))?;
    }
    Ok(())
}

fn type_name(token_binding_type: TokenBindingType) -> &'static str {
    match token_binding_type {
        TokenBindingType::Provided => "provided",
        TokenBindingType::Referred => "referred",
        TokenBindingType::Other(_) => "unknown",
    }
}

/// The octet and the name of a binding's key parameters.
fn key_parameters(binding: &TokenBinding<'_>) -> (u8, &'static str) {
    match binding.key_parameters() {
        Ok(known) => (known.code(), known.name()),
        Err(code) => (code, "unknown"),
    }
}

fn binding_json(binding: &TokenBinding<'_>) -> Value {
    let (code, name) = key_parameters(binding);
    let extensions = binding
        .extensions
        .map(|extension| json!({ "type": extension.extension_type, "data": base64url::encode(extension.data) }))
        .collect::<Vec<_>>();
    let mut document = id_members(binding.id);
    document.insert("type".into(), binding.token_binding_type.code().into());
    document.insert("type_name".into(), type_name(binding.token_binding_type).into());
    document.insert("key_parameters".into(), name.into());
    document.insert("key_parameters_code".into(), code.into());
    document.insert("signature".into(), base64url::encode(binding.signature).into());
    document.insert("extensions".into(), extensions.into());
    document.into()
}

fn binding_text(number: usize, binding: &TokenBinding<'_>) -> String {
    let (code, name) = key_parameters(binding);
    let key = match binding.public_key() {
        PublicKey::EcPoint(point) => format!("point of {} octets", point.len()),
        PublicKey::Rsa { modulus, public_exponent } => {
            format!("RSA modulus of {} octets, exponent of {}", modulus.len(), public_exponent.len())
        }
        PublicKey::Unknown(octets) => format!("{} octets of unknown meaning", octets.len()),
    };
    let extensions = binding
        .extensions
        .map(|extension| format!("type {} with {} octets", extension.extension_type, extension.data.len()))
        .collect::<Vec<_>>();
    let extensions = if extensions.is_empty() { "none".to_owned() } else { extensions.join(", ") };
    format!(
        "\nbinding {number}:         {} (type {})\n\
         key parameters:    {name} ({code})\n\
         public key:        {key}\n\
         Token Binding ID:  {}\n\
         tbh:               {}\n\
         signature:         {} octets, not checked\n\
         extensions:        {extensions}",
        type_name(binding.token_binding_type),
        binding.token_binding_type.code(),
        binding.id.to_base64url(),
        binding.id.hash().to_base64url(),
        binding.signature.len(),
    )
}

pub(super) fn verify(options: &VerifyOptions) -> Result<(), Failure> {
    let ekm = parse_ekm(&options.ekm)?;
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: options.key_parameters };
    let verdict = token_binding::verify(options.header.as_bytes(), &negotiated, &ekm);
    if options.json {
        output::json(&match &verdict {
            Ok(verified) => verified_json(verified),
            Err(rejection) => {
                json!({ "valid": false, "label": rejection.label(), "reason": rejection.to_string() })
            }
        })?;
    }
    match verdict {
        Ok(_) if options.json => Ok(()),
        Ok(verified) => output::line(&verified_text(&verified)),
        Err(rejection) => Err(Failure::Refused(format!("invalid: {rejection}"))),
    }
}

fn parse_ekm(text: &str) -> Result<Ekm, Failure> {
    let octets = base64url::decode(text.as_bytes())
        .map_err(|error| Failure::Usage(format!("--ekm is not base64url: {error}")))?;
    let length = octets.len();
    let ekm = octets.try_into().map_err(|_| {
        Failure::Usage(format!("--ekm has {length} octets; {EKM_LEN} are needed, which are 43 characters"))
    })?;
    Ok(Ekm::new(ekm))
}

fn verified_json(verified: &Verified) -> Value {
    let other = verified
        .other
        .iter()
        .map(|(code, id)| {
            let mut document = id_members(id.as_id());
            document.insert("type".into(), (*code).into());
            Value::from(document)
        })
        .collect::<Vec<_>>();
    json!({
        "valid": true,
        "provided": id_members(verified.provided.as_id()),
        "referred": verified.referred.as_ref().map(|id| id_members(id.as_id())),
        "other": other,
    })
}

fn verified_text(verified: &Verified) -> String {
    let show = |name: &str, id: &VerifiedId| {
        format!("{name} ID:  {}\n{name} tbh: {}", id.to_base64url(), id.hash().to_base64url())
    };
    let mut lines = vec!["valid".to_owned(), show("provided", &verified.provided)];
    lines.extend(verified.referred.iter().map(|id| show("referred", id)));
    lines.extend(verified.other.iter().map(|(code, id)| show(&format!("type {code}"), id)));
    lines.join("\n")
}
