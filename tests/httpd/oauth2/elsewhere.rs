//! A token is good where its verifier stands, and nowhere else: not at the end of a redirect within the server, not in a part of
//! another page, and no .htaccess changes what is asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::tokens::{keys, token};
use super::{place, post, present, send, server};
use crate::common::Httpd;

const ENVIRONMENT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";
const BODY: &str =
    "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\necho \"length $CONTENT_LENGTH\"\ncat\n";

/// A place that lets in whom its own verifier knows, by a claim or by a binding, and asks for no user.
fn strict(name: &str, require: &str) -> String {
    format!(
        "<Location /{name}>\nAuthType oauth2\nAuthName api\nOAuth2TokenVerify jwk {{ec}}\nRequire {require}\n</Location>\n"
    )
}

#[test]
fn a_redirect_within_the_server_is_authorized_where_it_leads() {
    let to = |path: &str| format!("#!/bin/sh\nprintf 'Location: {path}\\r\\n\\r\\n'\n");
    let server = server(&[("in", "OAuth2TokenVerify jwk {one}")])
        .load(&["include"])
        .value("ec", keys().ec.quoted())
        .config(&strict("claim", "oauth2_claim role:admin"))
        .config(&strict("either", "oauth2_claim role:admin\nRequire valid-user"))
        .config("<Location /public>\nAuthType oauth2\nAuthName api\nOAuth2TokenVerify jwk {ec}\nRequire all granted\n</Location>")
        .file("claim/env.cgi", ENVIRONMENT)
        .file("either/env.cgi", ENVIRONMENT)
        .file("public/env.cgi", ENVIRONMENT)
        .file("in/claim.cgi", &to("/claim/env.cgi"))
        .file("in/either.cgi", &to("/either/env.cgi"))
        .file("in/public.cgi", &to("/public/env.cgi"))
        .file("in/claim.shtml", "before<!--#include virtual=\"/claim/env.cgi\" -->")
        // what mod_include says of a part that is refused
        .allow_log("unable to include")
        .start();
    let token = token(json!({"role": "admin"}));
    for path in ["/in/claim.cgi", "/in/either.cgi"] {
        let answer = present(&server, None, path, &token);
        assert_eq!(answer.status, 401, "{path} {answer:?}");
    }
    let page = present(&server, None, "/in/claim.shtml", &token);
    assert!(page.status == 200 && !page.body.contains("REMOTE_ADDR"), "{page:?}");
    // nobody was asked there, so nobody's claims are told
    let public = present(&server, None, "/in/public.cgi", &token);
    assert_eq!(public.status, 200, "{public:?}");
    assert_eq!(public.variable("OAUTH2_CLAIM_role"), None, "{public:?}");
}

#[test]
fn a_form_that_was_read_for_its_token_reaches_the_end_of_a_redirect() {
    let lines = "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn post";
    let server = server(&[("in", lines), ("other", lines)])
        .load(&["rewrite"])
        .config("<Directory \"{docroot}/in\">\nRewriteEngine On\nRewriteRule ^same$ /in/body.cgi [PT]\nRewriteRule ^other$ /other/body.cgi [PT]\n</Directory>")
        .file("in/body.cgi", BODY)
        .file("other/body.cgi", BODY)
        .start();
    let form = format!("a=1&access_token={}&b=2", token(json!({})));
    for path in ["/in/same", "/in/other", "/in/body.cgi"] {
        let answer = send(&server, post(path, "", &form));
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert_eq!(answer.body, format!("length {}\n{form}", form.len()), "{path}");
    }
}

#[test]
fn no_htaccess_changes_what_is_asked_for() {
    let server = server(&[])
        .config("<Directory \"{docroot}/here\">\nAllowOverride None\nAllowOverrideList OAuth2TargetPass OAuth2TokenVerify TokenBindingPassVar\n</Directory>")
        .file("here/page", "page")
        .file("here/.htaccess", "OAuth2TargetPass prefix=MINE_\n")
        .expect_log("OAuth2TargetPass cannot occur within htaccess files")
        .start();
    let answer = send(&server, "GET /here/page HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer.status, 500, "{answer:?}");
}

#[test]
fn plain_http_and_broken_handshakes_on_the_port_of_tls_do_no_harm() {
    let server: Httpd = server(&[("in", "OAuth2TokenVerify jwk {one}")])
        .config("ErrorDocument 400 /in/env")
        .config(&place("unused", ""))
        .allow_log("ssl:*")
        .start();
    let mut threads = Vec::new();
    for worker in 0..4 {
        let address = server.tls();
        threads.push(std::thread::spawn(move || {
            for turn in 0..12 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let octets: &[u8] = match (worker + turn) % 3 {
                    0 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    1 => b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
                    _ => b"\x16\x03\x01\x00\x02\x02\x28",
                };
                stream.write_all(octets).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
            }
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(present(&server, None, "/in/env", &token(json!({}))).status, 200);
}
