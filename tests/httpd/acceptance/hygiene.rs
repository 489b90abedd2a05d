//! Headers that only the server may set, sent by the client: draft-ietf-tokbind-ttrp §2.3, RFC 9440 §2.4.

use serde_json::json;

use super::stage::SPOOF;
use super::{Row, row};
use crate::common::exchange::get_plain;
use crate::common::process::{patience, poll};

/// Each with the spelling that CGI takes for the same name.
const NAMES: [&str; 17] = [
    "Sec-Provided-Token-Binding-ID",
    "SEC_PROVIDED_TOKEN_BINDING_ID",
    "sec-provided_token.binding-id",
    "Sec-Referred-Token-Binding-ID",
    "Sec_Referred_Token_Binding_ID",
    "Sec-Other-Token-Binding-ID",
    "Sec_Other_Token_Binding_ID",
    "Sec-Token-Binding-Context",
    "Sec_Token_Binding_Context",
    "Token-Binding-Context",
    "Token_Binding_Context",
    "TB_SSL_CLIENT_CERT_FINGERPRINT",
    "TB-SSL-CLIENT-CERT-FINGERPRINT",
    "Client-Cert",
    "Client_Cert",
    "Client-Cert-Chain",
    "client_cert-chain",
];

fn spoofs() -> Vec<String> {
    NAMES.iter().map(|name| format!("{name}: {SPOOF}")).collect()
}

pub const ROWS: &[Row] = &[
    row("with a verified message", "ttrp §2.3", "200 verified provided=alice", |s| {
        let connection = s.connect(json!({}));
        let message = format!("Sec-Token-Binding: {}", s.alice(&connection));
        each(s, &connection, Some(&message))
    }),
    row("where nothing was negotiated", "ttrp §2.3", "200 not-negotiated", |s| {
        let connection = s.connect(json!({"offer": null}));
        each(s, &connection, None)
    }),
    row("with a client certificate", "P-19", "200 verified provided=alice certificate=a", |s| {
        let mut options = s.certificate("client_a");
        options["sni"] = "certificate.test".into();
        let connection = s.connect(options);
        let value = s.alice(&connection);
        let head = format!(
            "GET /cgi/env.cgi HTTP/1.1\r\nHost: certificate.test\r\nSec-Token-Binding: {value}\r\n{}\r\n\r\n",
            spoofs().join("\r\n")
        );
        let answer = s.client.exchange(&connection, &head);
        s.note(&answer);
        s.outcome(&answer)
    }),
    row("where Token Binding is off", "ttrp §2.3", "200 disabled", |s| {
        let connection = s.connect(json!({"sni": "off.test"}));
        let head =
            format!("GET /cgi/env.cgi HTTP/1.1\r\nHost: off.test\r\n{}\r\n\r\n", spoofs().join("\r\n"));
        let answer = s.client.exchange(&connection, &head);
        s.outcome(&answer)
    }),
    row("without TLS", "ttrp §2.3", "200 no-tls", |s| {
        let spoofs = spoofs();
        let fields: Vec<&str> = spoofs.iter().map(String::as_str).collect();
        s.outcome(&get_plain(s.server.plain(), "localhost", "/cgi/env.cgi", &fields))
    }),
    row("towards the backend, with a verified message", "ttrp §2.3", "200 provided=alice", |s| {
        let connection = s.connect(json!({}));
        let mut fields = spoofs();
        fields.push(format!("Sec-Token-Binding: {}", s.alice(&connection)));
        backend(s, &connection, &fields)
    }),
    row("towards the backend, where nothing was negotiated", "ttrp §2.3", "200", |s| {
        let connection = s.connect(json!({"offer": null}));
        let mut fields = spoofs();
        fields.push("Sec-Token-Binding: AAAA".to_owned());
        fields.push("Sec_Token_Binding: AAAA".to_owned());
        backend(s, &connection, &fields)
    }),
    row("SetEnvIf sees the real ID, not the client's", "surface", "alice", |s| {
        let connection = s.connect(json!({}));
        let message = format!("Sec-Token-Binding: {}", s.alice(&connection));
        let spoof = format!("Sec-Provided-Token-Binding-ID: {SPOOF}");
        let answer = s.get(&connection, "/cgi/env.cgi", &[&spoof, &message]);
        match answer.variable("SAW") {
            saw if saw == answer.variable("Sec_Provided_Token_Binding_ID") => "alice".to_owned(),
            saw => format!("{saw:?}"),
        }
    }),
    row("SetEnvIf sees nothing where there is no binding", "surface", "None", |s| {
        let connection = s.connect(json!({"offer": null}));
        let answer =
            s.get(&connection, "/cgi/env.cgi", &[&format!("Sec-Provided-Token-Binding-ID: {SPOOF}")]);
        format!("{:?}", answer.variable("SAW"))
    }),
    row("a second Sec-Token-Binding in another spelling", "P-20", "200 verified provided=alice", |s| {
        let connection = s.connect(json!({}));
        let value = s.alice(&connection);
        s.fields(
            &connection,
            &[&format!("Sec_Token_Binding: {SPOOF}"), &format!("Sec-Token-Binding: {value}")],
        )
    }),
    row("in trailers, MergeTrailers On", "8473 §2", "200, saw=real message=-", |s| {
        let connection = s.connect(json!({}));
        let value = s.alice(&connection);
        trailers(s, &connection, &format!("Sec-Token-Binding: {value}\r\n"))
    }),
    row("in trailers, nothing negotiated", "8473 §2", "200, saw=- message=-", |s| {
        let connection = s.connect(json!({"offer": null}));
        trailers(s, &connection, "")
    }),
];

/// All at once, then each alone, so that none hides behind another.
fn each(s: &mut super::Stage, connection: &str, message: Option<&str>) -> String {
    let spoofs = spoofs();
    let mut attempts: Vec<Vec<&str>> = vec![spoofs.iter().map(String::as_str).collect()];
    attempts.extend(spoofs.iter().map(|spoof| vec![spoof.as_str()]));
    let mut outcomes: Vec<String> = attempts
        .into_iter()
        .map(|mut fields| {
            fields.extend(message);
            s.fields(connection, &fields)
        })
        .collect();
    outcomes.dedup();
    outcomes.join(", ")
}

fn backend(s: &mut super::Stage, connection: &str, fields: &[String]) -> String {
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let answer = s.get(connection, "/backend/x", &fields);
    s.backend_outcome(&answer)
}

/// A chunked body whose trailers repeat what was stripped from the head; the log shows the fields as httpd has them in the end.
fn trailers(s: &mut super::Stage, connection: &str, message: &str) -> String {
    let marker = format!("/cgi/input.cgi/{}", connection.replace(' ', "-"));
    let head = format!(
        "POST {marker} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{message}\r\n\
         4\r\nbody\r\n0\r\nSec-Provided-Token-Binding-ID: {SPOOF}\r\nSec_Provided-Token-Binding_ID: {SPOOF}\r\n\
         Sec-Token-Binding: {SPOOF}\r\n\r\n"
    );
    let answer = s.client.exchange(connection, &head);
    s.note(&answer);
    let line = poll(patience(5), || {
        let log = s.server.file("headers.log");
        log.lines().find(|line| line.starts_with(&marker)).map(str::to_owned)
    });
    let line = line.expect("each request is logged");
    let seen = line.trim_start_matches(&marker).trim().to_owned();
    format!("{}, {}", answer.status, s.with_names(&seen))
}
