//! What is measured, and how much it may cost.

use crate::client::Manner;
use crate::subject;

pub struct Case {
    pub name: &'static str,
    pub manner: Manner,
    pub work: Work,
    /// Of the instructions that the module adds; with HTTP/2, of those that are spent inside of it.
    pub limit: Limit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The same request again and again, on one connection.
    Requests(Place),
    /// A connection and one request on it.
    ConnectionsWithRequest,
    /// A connection that ends after its handshake.
    Connections,
    /// As [`Work::Requests`], with another token each time: what a memory that is too small for its tokens comes to.
    NewTokens,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Everybody,
    Bearer,
    Bound,
}

#[derive(Clone, Copy)]
pub enum Limit {
    Instructions(f64),
    /// So many times a P-256 verification and an exporter call.
    TokenBinding(f64),
    /// So many times an RS256 verification.
    Rs256(f64),
    /// This part of what it costs without the module.
    Share(f64),
    /// So many times what is spent inside the module with HTTP/1.1.
    Http1(f64),
}

impl Case {
    /// The same with HTTP/1.1, of a case with HTTP/2.
    pub fn http1(&self) -> Option<&'static Self> {
        self.name.strip_prefix("h2-").map(by_name)
    }
}

impl Work {
    /// Whether requests alone are what is repeated. OpenSSL frees a connection in the module or out of it, so that only the
    /// difference of two servers tells what a connection costs.
    pub fn is_requests(self) -> bool {
        matches!(self, Self::Requests(_) | Self::NewTokens)
    }

    pub fn place(self) -> Place {
        match self {
            Self::Requests(place) => place,
            Self::NewTokens => Place::Bearer,
            Self::Connections | Self::ConnectionsWithRequest => Place::Everybody,
        }
    }
}

impl Place {
    /// Where its files are, and the token that they want.
    pub fn folder_and_token(self) -> (&'static str, Option<String>) {
        match self {
            Self::Everybody => ("", None),
            Self::Bearer => ("/bearer", Some(subject::token(0))),
            Self::Bound => ("/bound", Some(subject::bound_token())),
        }
    }
}

impl Case {
    /// Where the server asks for the certificate, if one is presented.
    pub fn port(&self) -> &'static str {
        if self.manner.certificate { "certificates" } else { "tls" }
    }
}

pub fn by_name(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).expect("there is such a case")
}

pub const PLAIN: Manner = Manner { http2: false, token_binding: false, certificate: false };
pub const BOUND: Manner = Manner { token_binding: true, ..PLAIN };
pub const CERTIFICATE: Manner = Manner { certificate: true, ..PLAIN };

const fn http2(manner: Manner) -> Manner {
    Manner { http2: true, ..manner }
}

const fn case(name: &'static str, manner: Manner, work: Work, limit: Limit) -> Case {
    Case { name, manner, work, limit }
}

/// The limits are those of the project's goals. HTTP/2 may cost a fifth more than HTTP/1.1.
pub const CASES: [Case; 13] = {
    use Limit::{Http1, Instructions, Rs256, Share, TokenBinding};
    use Place::{Bearer, Bound, Everybody};
    use Work::{Connections, ConnectionsWithRequest, NewTokens, Requests};
    [
        case("token-binding", BOUND, Requests(Everybody), Instructions(3_000.0)),
        case("not-negotiated", PLAIN, Requests(Everybody), Instructions(700.0)),
        case("certificate", CERTIFICATE, Requests(Everybody), Instructions(1_500.0)),
        case("bearer", PLAIN, Requests(Bearer), Instructions(12_000.0)),
        case("bound-token", CERTIFICATE, Requests(Bound), Instructions(13_500.0)),
        case("connection-token-binding", BOUND, ConnectionsWithRequest, TokenBinding(1.15)),
        case("connection", PLAIN, Connections, Share(0.002)),
        case("new-token", PLAIN, NewTokens, Rs256(1.3)),
        case("h2-token-binding", http2(BOUND), Requests(Everybody), Http1(1.2)),
        case("h2-not-negotiated", http2(PLAIN), Requests(Everybody), Http1(1.2)),
        case("h2-certificate", http2(CERTIFICATE), Requests(Everybody), Http1(1.2)),
        case("h2-bearer", http2(PLAIN), Requests(Bearer), Http1(1.2)),
        case("h2-bound-token", http2(CERTIFICATE), Requests(Bound), Http1(1.2)),
    ]
};
