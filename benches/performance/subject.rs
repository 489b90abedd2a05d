//! The servers that are compared: the same site without the module, with it, with another.

use std::path::PathBuf;

use crate::common::{Builder, Httpd, Mpm, Vhost, pki};
use crate::tokens;

/// What is loaded besides httpd's own modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    Nothing,
    Ours,
    /// Debian's mod_oauth2, which reads the same directives.
    Oauth2,
}

impl Module {
    /// The name of its profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "without",
            Self::Ours => "with",
            Self::Oauth2 => "mod_oauth2",
        }
    }
}

/// How a server spreads its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One process that serves one connection after the other.
    One,
    /// Processes with threads, all of them from the beginning.
    Event { children: usize, threads: usize },
}

impl Shape {
    /// HTTP/2 needs threads; one child's can be counted.
    pub const HTTP2: Self = Self::Event { children: 1, threads: 8 };
    /// As a server that is busy.
    pub const BUSY: Self = Self::Event { children: 2, threads: 16 };
}

/// What `proof.txt` says in its field X-Witness, besides what every other file does too.
const BINDING_WITNESS: &str =
    "%{Token-Binding-Status}e %{Sec-Provided-Token-Binding-ID}e %{TB_SSL_CLIENT_CERT_FINGERPRINT}e";

/// Host `localhost` on the ports `tls` and `certificates`; the latter asks for a client certificate. `/hello.txt` is for
/// everybody, `/bearer/hello.txt` wants an access token, `/bound/hello.txt` a certificate-bound one.
pub fn server(module: Module, shape: Shape) -> Builder {
    let certificates = Vhost::tls("localhost").on("certificates").config("SSLVerifyClient optional_no_ca");
    let mut builder = Httpd::builder()
        .mpm(if shape == Shape::One { Mpm::Prefork } else { Mpm::Event })
        .without_access_log()
        .load(&["authz_user", "headers"])
        .value("one", tokens::keys().one.quoted())
        .vhost(certificates)
        .config("MaxKeepAliveRequests 0")
        .config(&place("/bearer", module, ""))
        .config(&place("/bound", module, " type=mtls"))
        .config(&witness("/proof.txt", BINDING_WITNESS))
        .config(&witness("/bearer/proof.txt", CLAIMS_WITNESS))
        .config(&witness("/bound/proof.txt", CLAIMS_WITNESS));
    for file in ["proof.txt", "bearer/hello.txt", "bearer/proof.txt", "bound/hello.txt", "bound/proof.txt"] {
        builder = builder.file(file, "hello\n");
    }
    builder = match shape {
        Shape::One => {
            builder.allow_log("server reached MaxRequestWorkers").config("ServerLimit 1\nMaxRequestWorkers 1")
        }
        Shape::Event { children, threads } => builder
            .children(children)
            .load(&["http2"])
            .allow_log("within MinSpareThreads of MaxRequestWorkers")
            .allow_log("server reached MaxRequestWorkers")
            .config(&event_limits(children, threads)),
    };
    // The harness waits for a line of the MPM.
    let mpm = if shape == Shape::One { "mpm_prefork" } else { "mpm_event" };
    builder = builder.log_level(&format!("warn {mpm}:notice"));
    match module {
        Module::Nothing => builder.without_module(),
        Module::Ours => builder.module(&release()),
        Module::Oauth2 => {
            builder.without_module().load(&["oauth2"]).allow_log("oauth2_cache_shm_set: dropping LRU entry")
        }
    }
}

/// The same where time is measured. Mapping a file into memory, and no longer, interrupts the other threads of its process: half of the
/// time of a small file, and all of the noise.
pub fn timed(module: Module, shape: Shape) -> Builder {
    server(module, shape).config("EnableMMAP Off")
}

/// No process and no thread comes or goes; idle connections stay.
fn event_limits(children: usize, threads: usize) -> String {
    let streams = if children == 1 { 1 } else { threads };
    let all = children * threads;
    format!(
        "Protocols h2 http/1.1\nH2MinWorkers {streams}\nH2MaxWorkers {streams}\nServerLimit {children}\n\
         ThreadsPerChild {threads}\nMaxRequestWorkers {all}\nMinSpareThreads {all}\nMaxSpareThreads {all}\n\
         AsyncRequestWorkerFactor 1000\nKeepAliveTimeout 300"
    )
}

/// The access token's claims as variables, and as fields for a backend.
const CLAIMS_WITNESS: &str =
    "expr=%{reqenv:OAUTH2_CLAIM_sub} %{reqenv:OAUTH2_CLAIM_jti} %{req:OAUTH2_CLAIM_scope}";

pub fn place(path: &str, module: Module, options: &str) -> String {
    let lines = match module {
        Module::Nothing => String::new(),
        Module::Ours | Module::Oauth2 => format!(
            "AuthType oauth2\nAuthName api\nRequire valid-user\nOAuth2TokenVerify jwk {{one}}{options}\n"
        ),
    };
    format!("<Location {path}>\n{lines}</Location>\n")
}

fn witness(path: &str, value: &str) -> String {
    format!("<Location {path}>\nHeader always set X-Witness \"{value}\"\n</Location>\n")
}

/// What `make release` built: the module is measured as it is installed.
pub fn release() -> PathBuf {
    std::env::var_os("MOD_TOKEN_BINDING_SO")
        .map(PathBuf::from)
        .expect("MOD_TOKEN_BINDING_SO names the release build")
}

/// An access token of about 600 octets with eight claims, for an hour.
pub fn token(number: usize) -> String {
    tokens::keys().one.token(&claims(number))
}

/// The like, bound to client A's certificate.
pub fn bound_token() -> String {
    let mut claims = claims(0);
    claims["cnf"] = tokens::bound_to(&pki().client_a)["cnf"].clone();
    tokens::keys().one.token(&claims)
}

/// The subject, ID and scope of the token with this number, as the witness says them.
pub fn claims_witness(number: usize) -> String {
    let claims = claims(number);
    let text = |name: &str| claims[name].as_str().expect("text").to_owned();
    format!("{} {} {}", text("sub"), text("jti"), text("scope"))
}

fn claims(number: usize) -> serde_json::Value {
    let now = tokens::now();
    serde_json::json!({
        "iss": tokens::ISSUER, "sub": "joe@example.org", "aud": "https://api.test", "client_id": "s6BhdRkqt3",
        "iat": now, "exp": now + 3600, "jti": format!("f81d4fae-7dec-{number:08}"), "scope": "read write",
    })
}
