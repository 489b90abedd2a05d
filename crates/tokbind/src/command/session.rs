//! One connection of `tokbind get`.

use super::{Failure, output, thumbprint};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use openssl::x509::X509NameRef;
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokbind::tls::{Connector, Error, HTTP_2, TlsConnection};
use token_binding::{Ekm, Negotiated};
use tokio::net::TcpStream;

/// Where a request goes.
pub(super) struct Target {
    /// The URL itself.
    pub(super) uri: Uri,
    /// Host and port of the URL.
    pub(super) authority: String,
    host: String,
    /// Where to connect to.
    address: String,
}

impl Target {
    pub(super) fn new(url: &str, connect: Option<&str>) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("\"{url}\": {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        match uri.scheme_str() {
            // RFC 8473 §1: Token Binding over HTTP exists within TLS only.
            Some("https") => {}
            Some("http") => return Err(wrong("Token Binding needs https")),
            _ => return Err(wrong("a URL begins with https://")),
        }
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?.to_owned();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong(
                "names and passwords do not belong into a URL; use --header \"Authorization: ...\"",
            ));
        }
        let authority = uri.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let address = match connect {
            None => format!("{host}:{}", uri.port_u16().unwrap_or(443)),
            Some(address) if address.contains(':') => address.to_owned(),
            Some(address) => return Err(Failure::Usage(format!("--connect {address}: write HOST:PORT"))),
        };
        Ok(Self { uri, authority, host, address })
    }
}

/// A connection that hyper reads and writes while its keying material can still be asked for: a renegotiation between
/// two requests changes it (RFC 8471 §3.3).
#[derive(Clone)]
pub(super) struct Session(Arc<Mutex<TlsConnection<TokioIo<TcpStream>>>>);

impl Session {
    pub(super) async fn open(
        connector: &Connector,
        target: &Target,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let address = &target.address;
        let connecting = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            connector.connect_transport(TokioIo::new(tcp), &target.host).await
        };
        let connected = tokio::time::timeout(timeout, connecting).await.map_err(|_| {
            Failure::Refused(format!("{address}: no connection within {} s", timeout.as_secs()))
        })?;
        connected
            .map(|connection| Self(Arc::new(Mutex::new(connection))))
            .map_err(|error| Failure::Refused(format!("{address}: {error}{}", advice(&error))))
    }

    fn lock(&self) -> MutexGuard<'_, TlsConnection<TokioIo<TcpStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn speaks_http2(&self) -> bool {
        self.lock().alpn().as_deref() == Some(HTTP_2)
    }

    pub(super) fn resumed(&self) -> bool {
        self.lock().resumed()
    }

    /// What Token Binding needs to know, as it is now.
    pub(super) fn binding_context(&self) -> Result<Option<(Negotiated, Ekm)>, Failure> {
        let connection = self.lock();
        let Some(negotiated) = connection.negotiated() else { return Ok(None) };
        let ekm = connection
            .ekm()
            .map_err(|error| Failure::Refused(format!("cannot export keying material: {error}")))?;
        Ok(Some((negotiated, ekm)))
    }

    /// What `-v` says about the connection.
    pub(super) fn describe(&self, has_certificate: bool) {
        let connection = self.lock();
        let cipher = connection.ssl().current_cipher().map_or("", |cipher| cipher.name());
        let handshake = if connection.resumed() { "resumed" } else { "full handshake" };
        output::detail("TLS", &format!("{}, {cipher}, {handshake}", connection.tls_version()));
        output::detail("ALPN", connection.alpn().as_deref().unwrap_or("none selected"));
        if let Some(certificate) = connection.peer_certificate() {
            let thumbprint = thumbprint::of(&certificate).unwrap_or_default();
            let subject = subject(certificate.subject_name());
            output::detail("server certificate", &format!("{subject}, x5t#S256 {thumbprint}"));
        }
        if has_certificate && let Some(certificate) = connection.ssl().certificate() {
            let thumbprint = thumbprint::of(certificate).unwrap_or_default();
            let subject = subject(certificate.subject_name());
            output::detail(
                "client certificate",
                &format!("{subject}, x5t#S256 {thumbprint}, presented if asked for"),
            );
        }
        let token_binding = match (connection.negotiated(), connection.reply().as_deref()) {
            (Some(Negotiated { version, key_parameters }), _) => {
                format!("version {version}, {key_parameters}")
            }
            (None, Some([major, minor, ..])) => {
                format!("not negotiated: the server speaks version {major}.{minor} only")
            }
            (None, _) => "not negotiated".to_owned(),
        };
        output::detail("Token Binding", &token_binding);
    }

    /// What JSON says about the connection and its responses.
    pub(super) fn json(&self, responses: Vec<Value>) -> Value {
        let connection = self.lock();
        let negotiated = connection.negotiated().map(|Negotiated { version, key_parameters }| {
            json!({ "version": version.to_string(), "key_parameters": key_parameters.name() })
        });
        let thumbprint =
            connection.peer_certificate().and_then(|certificate| thumbprint::of(&certificate).ok());
        json!({
            "tls": connection.tls_version(),
            "alpn": connection.alpn(),
            "resumed": connection.resumed(),
            "token_binding": negotiated,
            "server_certificate": thumbprint.map(|thumbprint| json!({ "x5t#S256": thumbprint })),
            "responses": responses,
        })
    }
}

/// What to do about a failed connection.
fn advice(error: &Error) -> &'static str {
    match error {
        Error::Handshake { reason, alert: None } if reason.contains("certificate verify failed") => {
            "; name its certification authority with --cacert FILE"
        }
        // RFC 8446 §6: certificate_required; TLS 1.2 servers say handshake_failure.
        Error::Handshake { alert: Some(116), .. } => "; present a client certificate with --cert FILE",
        _ => "",
    }
}

/// A distinguished name as "CN=localhost, O=Example".
fn subject(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let kind = entry.object().nid().short_name().unwrap_or("?");
        let value = entry.data().to_string().unwrap_or_default();
        format!("{kind}={value}")
    });
    entries.collect::<Vec<_>>().join(", ")
}

impl Read for Session {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, buffer)
    }
}

impl Write for Session {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
