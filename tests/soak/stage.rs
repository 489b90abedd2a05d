//! The server under load and its authorization server.

use crate::common::authorization_server::{AuthorizationServer, SECRET};
use crate::common::{Httpd, Mpm, site};
use crate::tokens;

/// What a response says about its request. Variables that are not set are "(null)".
const TELL: &str = r#"
Header always set X-Provided "%{Sec-Provided-Token-Binding-ID}e"
Header always set X-Certificate "%{TB_SSL_CLIENT_CERT_FINGERPRINT}e"
Header always set X-Subject "%{OAUTH2_CLAIM_sub}e"
Header echo ^Sec-Provided-Token-Binding-ID$
"#;

const VERIFIERS: [(&str, &str); 5] = [
    ("bearer", "OAuth2TokenVerify jwk {one}"),
    ("mtls", "OAuth2TokenVerify jwk {one} type=mtls"),
    ("tb", "OAuth2TokenVerify jwk {one} type=token-binding"),
    (
        "keys",
        "OAuth2TokenVerify jwks_uri {as}/jwks jwks_uri.ca_file={ca}\nOAuth2TargetPass remote_user_claim=client_id",
    ),
    (
        "opaque",
        "OAuth2TokenVerify introspect {as}/token/introspection introspect.ca_file={ca}&introspect.auth=client_secret_basic\
         &client_id=resource-server&client_secret={secret}\nOAuth2TargetPass remote_user_claim=client_id",
    ),
];

/// The authorization server, with a CA file that httpd's children may read.
pub fn authorization_server() -> AuthorizationServer {
    let issuer = AuthorizationServer::start();
    let ca = issuer.ca_file();
    let folder = ca.ancestors().nth(2).expect("it is in the folder pki of its own folder");
    site::set_mode(folder, 0o755);
    issuer
}

pub fn server(mpm: Mpm, issuer: &AuthorizationServer) -> Httpd {
    let mut builder = Httpd::builder()
        .mpm(mpm)
        .children(2)
        .load(&["authz_user", "headers"])
        .log_level("notice")
        .value("one", tokens::keys().one.quoted())
        .value("as", issuer.issuer())
        .value("ca", issuer.ca_file().display())
        .value("secret", SECRET)
        .config("OAuth2Cache shm\nMaxConnectionsPerChild 20000")
        .config("AliasMatch \"^/[a-z]+/hello$\" \"{docroot}/hello.txt\"")
        .config(TELL)
        .config("<Location /private>\nRequire token-binding\n</Location>")
        .tls_config("SSLVerifyClient optional_no_ca")
        // what `Require token-binding` refuses
        .allow_log("AH01630")
        // All of prefork's processes are at work: that is what full load means.
        .allow_log("AH00161")
        .allow_log("AH00484")
        // mod_cgid's daemon at restarts in quick succession, as in tests/httpd/lifecycle.rs
        .allow_log("AH01243")
        .allow_log("AH01238")
        // a hard restart does not wait for everybody
        .allow_log("AH00045")
        .allow_log("AH00046");
    for (name, verifier) in VERIFIERS {
        builder = builder.config(&format!(
            "<Location /{name}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n{verifier}\n</Location>"
        ));
    }
    // mod_http2 does not run under prefork.
    if mpm != Mpm::Prefork {
        builder = builder.load(&["http2"]).config("Protocols h2 http/1.1");
    }
    builder.start()
}
