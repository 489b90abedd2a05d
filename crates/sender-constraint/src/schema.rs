//! Every option of every `OAuth2...` directive: name, kind, default, meaning. `docs/oauth2-options.md` is this table
//! in print; a test compares the two.

/// What the value of an option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text but the empty one.
    Text,
    /// Any text, the empty one too.
    Any,
    /// `true|false|on|off|1|0`.
    Flag,
    /// A decimal number within bounds.
    Number {
        /// The smallest that is accepted.
        least: u64,
        /// The largest that is accepted.
        most: u64,
        /// What it counts.
        unit: &'static str,
    },
    /// One of some words, in whatever case.
    Words(&'static [&'static str]),
    /// `name=value` pairs, form-encoded once more.
    Form,
    /// The name of a header field (RFC 9110 §5.1).
    HeaderName,
}

impl Kind {
    /// What is accepted, for error messages and for the documentation.
    #[must_use]
    pub fn accepted(self) -> String {
        match self {
            Self::Text => "a text that is not empty".into(),
            Self::Any => "a text".into(),
            Self::Flag => "true, false, on, off, 1 or 0".into(),
            Self::Number { least, most, unit } => format!("a number from {least} to {most} ({unit})"),
            Self::Words(words) => match words.split_last() {
                Some((last, [])) => (*last).into(),
                Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
                None => String::new(),
            },
            Self::Form => "form-encoded name=value pairs".into(),
            Self::HeaderName => "the name of a header".into(),
        }
    }
}

/// Whether an option does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what its meaning says.
    Honoured,
    /// mod_oauth2 knows it; here it does nothing, for this reason, and start-up says so.
    None(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name, without the prefix of its group.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The default, as the documentation shows it.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Whether it does that.
    pub effect: Effect,
}

/// Options that are allowed together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Where they are allowed, as the documentation says it.
    pub place: &'static str,
    /// What stands before each name, dot included.
    pub prefix: &'static str,
    /// The options.
    pub specs: &'static [Spec],
}

impl Group {
    /// The option of this full name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Spec> {
        let name = name.strip_prefix(self.prefix)?;
        self.specs.iter().find(|spec| spec.name == name)
    }

    /// The full names.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.specs.iter().map(|spec| format!("{}{}", self.prefix, spec.name))
    }
}

const fn spec(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Spec {
    Spec { name, kind, default, meaning, effect: Effect::Honoured }
}

const fn inert(name: &'static str, kind: Kind, reason: &'static str) -> Spec {
    Spec { name, kind, default: "", meaning: "", effect: Effect::None(reason) }
}

const YEAR: u64 = 31_536_000;
const SECONDS: Kind = Kind::Number { least: 0, most: YEAR, unit: "seconds" };
const TIMEOUT: Kind = Kind::Number { least: 1, most: 120, unit: "seconds" };
const COUNT: Kind = Kind::Number { least: 0, most: 1_000_000_000, unit: "count" };
const POLICY: Kind = Kind::Words(&["required", "optional"]);
/// The words of the `verify.*` options.
pub const MODE: Kind = Kind::Words(&["skip", "optional", "required"]);
const NO_DPOP: &str = "DPoP (RFC 9449) is not offered";
const NO_RETRY: &str = "a failed fetch is tried again later, never while a request waits";
const ONLY_INTROSPECTION: &str = "keys and metadata are public; client authentication is for introspection";

/// Options of every verifier.
pub const VERIFIER: Group = Group {
    place: "OAuth2TokenVerify, every type",
    prefix: "",
    specs: &[
        spec("type", Kind::Words(&["bearer", "mtls", "token-binding"]), "bearer", "the binding this verifier asks for; a token with `cnf` is checked whatever this says"),
        spec("mtls.policy", POLICY, "required", "with `type=mtls`: whether a token without `cnf` is refused"),
        spec("token-binding.policy", POLICY, "required", "with `type=token-binding`: whether a token without `cnf` is refused"),
        spec("expiry", SECONDS, "300", "how long a verdict is remembered, never past `exp`; 0: not at all"),
        spec("verify.cache", Kind::Text, "", "name of the `OAuth2Cache` that shares verdicts between processes; `none`: none. Without it, introspection uses the default cache and JWTs none"),
        inert("mtls.env_var_name", Kind::Any, "the certificate comes from the TLS connection, never from a variable"),
        inert("dpop.cache", Kind::Any, NO_DPOP),
        inert("dpop.expiry", Kind::Any, NO_DPOP),
        inert("dpop.iat.verify", Kind::Any, NO_DPOP),
        inert("dpop.iat.slack.before", Kind::Any, NO_DPOP),
        inert("dpop.iat.slack.after", Kind::Any, NO_DPOP),
    ],
};

/// What is demanded of the claims of a token.
pub const CLAIM_RULES: Group = Group {
    place: "OAuth2TokenVerify, every type: claims",
    prefix: "",
    specs: &[
        spec("iss", Kind::Text, "with `metadata`: its issuer", "the one accepted issuer, compared exactly"),
        spec("aud", Kind::Text, "", "the audience that must be the token's `aud` or among it"),
        spec("verify.iss", MODE, "required when an issuer is known", "the `iss` claim"),
        spec("verify.aud", MODE, "required when `aud=` is given", "the `aud` claim"),
        spec("verify.exp", MODE, "required; optional with introspection", "the `exp` claim"),
        spec("verify.nbf", MODE, "optional", "the `nbf` claim"),
        spec("verify.iat", MODE, "optional", "the `iat` claim"),
        spec("verify.iat.slack_before", SECONDS, "no limit", "how long ago a token may have been issued"),
        spec("verify.iat.slack_after", SECONDS, "10", "how far in the future `iat` may lie"),
        spec("verify.leeway", Kind::Number { least: 0, most: 300, unit: "seconds" }, "0", "clock difference that is forgiven for `exp` and `nbf`"),
    ],
};

/// What is demanded of a JWT besides.
pub const JWT: Group = Group {
    place: "OAuth2TokenVerify, every type but introspect",
    prefix: "",
    specs: &[
        spec("verify.typ", MODE, "optional", "the `typ` header; `required`: `at+jwt` (RFC 9068)"),
    ],
};

/// The key ID of a key that is given in the configuration.
pub const KEY_ID: Group = Group {
    place: "OAuth2TokenVerify jwk, pem, pubkey, plain, base64, base64url, hex, eckey_uri",
    prefix: "",
    specs: &[
        spec("kid", Kind::Text, "the key's own", "key ID; a token that names another one is not tried with this key"),
    ],
};

macro_rules! endpoint {
    ($constant:ident, $what:literal, $place:literal, $prefix:literal) => {
        #[doc = concat!("Options of the endpoint that serves ", $what, ".")]
        pub const $constant: Group = Group {
            place: $place,
            prefix: $prefix,
            specs: &[
                spec("ssl_verify", Kind::Flag, "true", "verify the server's certificate and name"),
                spec("ca_file", Kind::Text, "the system's", "PEM file of the certificates to trust instead"),
                spec("http_timeout", TIMEOUT, "5", "time for the whole exchange"),
                spec("outgoing_proxy", Kind::Text, "none", "`host:port` of an HTTP proxy"),
                spec("cache", Kind::Text, "default", "name of the `OAuth2Cache` that shares the document; `none`: none"),
                spec("expiry", Kind::Number { least: 30, most: YEAR, unit: "seconds" }, "86400", "how long the document is fresh when it does not say (Cache-Control), and at most"),
                inert("auth", Kind::Any, ONLY_INTROSPECTION),
                inert("http_retries", Kind::Any, NO_RETRY),
                inert("http_retry_interval", Kind::Any, NO_RETRY),
            ],
        };
    };
}

endpoint!(JWKS_URI, "a JWK set", "OAuth2TokenVerify jwks_uri, metadata", "jwks_uri.");
endpoint!(METADATA, "metadata (RFC 8414)", "OAuth2TokenVerify metadata", "metadata.");
endpoint!(ECKEY_URI, "one EC key", "OAuth2TokenVerify eckey_uri", "eckey_uri.");
endpoint!(AWS_ALB, "the keys of a load balancer", "OAuth2TokenVerify aws_alb", "aws_alb.");

/// Options of the introspection endpoint.
pub const INTROSPECT: Group = Group {
    place: "OAuth2TokenVerify introspect, metadata",
    prefix: "introspect.",
    specs: &[
        spec("ssl_verify", Kind::Flag, "true", "verify the server's certificate and name"),
        spec("ca_file", Kind::Text, "the system's", "PEM file of the certificates to trust instead"),
        spec("http_timeout", TIMEOUT, "5", "time for the whole exchange"),
        spec("outgoing_proxy", Kind::Text, "none", "`host:port` of an HTTP proxy"),
        spec("auth", Kind::Words(&["none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "client_cert", "basic"]), "none", "how this server authenticates itself"),
        spec("aud", Kind::Text, "with `metadata`: its issuer", "audience of the assertion of `client_secret_jwt` and `private_key_jwt`; with type `introspect`, `aud` stands for it where it is missing, as in mod_oauth2"),
        spec("token_param_name", Kind::Text, "token", "name of the parameter that carries the token"),
        spec("params", Kind::Form, "", "more parameters, form-encoded twice: `key1%3Done%26key2%3Dtwo`"),
        inert("cache", Kind::Any, "verdicts are cached as verify.cache says"),
        inert("expiry", Kind::Any, "verdicts are kept as expiry says"),
        inert("http_retries", Kind::Any, NO_RETRY),
        inert("http_retry_interval", Kind::Any, NO_RETRY),
    ],
};

/// The credentials that `introspect.auth` works with.
pub const CLIENT: Group = Group {
    place: "OAuth2TokenVerify introspect, metadata: credentials",
    prefix: "",
    specs: &[
        spec("client_id", Kind::Text, "", "this server's name at the authorization server"),
        spec("client_secret", Kind::Text, "", "for the `client_secret_...` methods"),
        spec("jwk", Kind::Text, "", "private JWK for `private_key_jwt`"),
        spec("cert", Kind::Text, "", "PEM file of the certificate for `client_cert`"),
        spec("key", Kind::Text, "", "PEM file of its key"),
        spec("username", Kind::Text, "", "for `basic`"),
        spec("password", Kind::Text, "", "for `basic`"),
    ],
};

/// Options of `aws_alb` only.
pub const ALB: Group = Group {
    place: "OAuth2TokenVerify aws_alb",
    prefix: "",
    specs: &[
        spec("alb_base_url", Kind::Text, "the region's of the ARN", "where the key ID is appended to get a key"),
    ],
};

/// Options of every token source.
pub const ACCEPT: Group = Group {
    place: "OAuth2AcceptTokenIn, every type",
    prefix: "",
    specs: &[
        spec("strip", Kind::Flag, "off; on for environment", "take the token out of the request before the application or backend sees it"),
    ],
};

/// Where a token source looks.
pub const ACCEPT_NAME: Group = Group {
    place: "OAuth2AcceptTokenIn environment, header, query, post, cookie",
    prefix: "",
    specs: &[
        spec("name", Kind::Text, "access_token; Authorization for header", "name of the variable, header, parameter or cookie"),
    ],
};

/// Options of the header source only.
pub const ACCEPT_HEADER: Group = Group {
    place: "OAuth2AcceptTokenIn header",
    prefix: "",
    specs: &[
        spec("type", Kind::Any, "Bearer", "authentication scheme; empty: the whole value is the token"),
    ],
};

/// Options of `OAuth2TargetPass`.
pub const TARGET: Group = Group {
    place: "OAuth2TargetPass",
    prefix: "",
    specs: &[
        spec("envvars", Kind::Flag, "on", "claims as variables"),
        spec("headers", Kind::Flag, "on", "claims as request headers"),
        spec("prefix", Kind::HeaderName, "OAUTH2_CLAIM_", "what their names begin with; request headers that do are removed"),
        spec("authn_header", Kind::HeaderName, "none", "request header that gets the user's name"),
        spec("remote_user_claim", Kind::Text, "sub", "the claim that becomes REMOTE_USER"),
        spec("json_payload_claim", Kind::HeaderName, "none", "also pass all claims as one JSON text, under this name after the prefix"),
        spec("encoding", Kind::Words(&["none", "latin1", "base64url"]), "none", "of the values; in any of them control characters become `?` or are encoded"),
    ],
};

/// Options of every cache.
pub const CACHE: Group = Group {
    place: "OAuth2Cache, every type",
    prefix: "",
    specs: &[
        spec("name", Kind::Text, "default", "what `verify.cache` and `*.cache` call it"),
        spec("encrypt", Kind::Flag, "true; false for shm", "encrypt and authenticate what is stored (AES-256-GCM)"),
        spec("max_val_size", Kind::Number { least: 1024, most: 16_777_216, unit: "octets" }, "65536", "larger values are not stored"),
        inert("key_hash_algo", Kind::Any, "keys are always SHA-256 over verifier and token"),
        inert("passphrase_hash_algo", Kind::Any, "the key is always derived with HKDF-SHA-256"),
    ],
};

/// Options of the `shm` cache.
pub const CACHE_SHM: Group = Group {
    place: "OAuth2Cache shm",
    prefix: "",
    specs: &[
        spec("max_entries", Kind::Number { least: 1, most: 1_000_000_000, unit: "count" }, "1000", "room for so many entries of 2 KiB on average. With a larger `max_val_size` than 65536, look-ups take longer the more there are"),
        inert("max_key_size", COUNT, "all keys are of one size"),
    ],
};

/// Options of the `file` cache.
pub const CACHE_FILE: Group = Group {
    place: "OAuth2Cache file",
    prefix: "",
    specs: &[
        spec("dir", Kind::Text, "the server's runtime directory", "where the file lies"),
        inert("clean_interval", COUNT, "expired entries are removed by httpd's own cache provider"),
    ],
};

/// Options of the `memcache` cache.
pub const CACHE_MEMCACHE: Group = Group {
    place: "OAuth2Cache memcache",
    prefix: "",
    specs: &[
        spec("config_string", Kind::Text, "--SERVER=localhost", "the servers: `--SERVER=host:port`, several separated by blanks"),
    ],
};

/// Options of the `redis` cache.
pub const CACHE_REDIS: Group = Group {
    place: "OAuth2Cache redis",
    prefix: "",
    specs: &[
        spec("host", Kind::Text, "localhost", "name or address"),
        spec("port", Kind::Number { least: 1, most: 65_535, unit: "port" }, "6379", "TCP port"),
        spec("username", Kind::Text, "", "for AUTH"),
        spec("password", Kind::Text, "", "for AUTH"),
        spec("tls", Kind::Flag, "false", "TLS, with the server's certificate verified"),
        spec("ca_file", Kind::Text, "the system's", "PEM file of the certificates to trust instead"),
        spec("timeout", Kind::Number { least: 10, most: 60_000, unit: "milliseconds" }, "500", "for connecting and for each command"),
    ],
};

/// Options of the `socache` cache.
pub const CACHE_SOCACHE: Group = Group {
    place: "OAuth2Cache socache",
    prefix: "",
    specs: &[
        spec("provider", Kind::Text, "shmcb", "a mod_socache provider string: `shmcb:/path(size)`, `dbm:/path`, ..."),
    ],
};

/// All groups, in the order of the documentation.
pub const ALL: &[Group] = &[
    VERIFIER, CLAIM_RULES, JWT, KEY_ID, JWKS_URI, METADATA, ECKEY_URI, AWS_ALB, ALB, INTROSPECT, CLIENT, ACCEPT,
    ACCEPT_NAME, ACCEPT_HEADER, TARGET, CACHE, CACHE_SHM, CACHE_FILE, CACHE_MEMCACHE, CACHE_REDIS, CACHE_SOCACHE,
];

/// The reference table in Markdown, one row for each option.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for group in ALL {
        let place = group.place;
        text.push_str(&format!("\n## {place}\n\n| option | value | default | meaning |\n|---|---|---|---|\n"));
        for spec in group.specs {
            let meaning = match spec.effect {
                Effect::Honoured => spec.meaning.to_owned(),
                Effect::None(reason) => format!("*accepted with a warning, no effect:* {reason}"),
            };
            let default = spec.default;
            text.push_str(&format!(
                "| `{}{}` | {} | {default} | {meaning} |\n",
                group.prefix,
                spec.name,
                spec.kind.accepted()
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewrites the table when `UPDATE_DOCS` is set.
    #[test]
    fn the_documentation_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/oauth2-options.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (head, printed) = text.split_once("<!-- options -->\n").expect("marker before the table");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{head}<!-- options -->\n{}", reference())).unwrap();
            return;
        }
        assert!(printed == reference(), "run UPDATE_DOCS=1 cargo test -p sender-constraint schema");
    }

    #[test]
    fn no_option_means_two_things_in_one_place() {
        for group in ALL {
            for spec in group.specs {
                let same = group.specs.iter().filter(|other| other.name == spec.name).count();
                assert_eq!(same, 1, "{}", spec.name);
            }
        }
    }
}
