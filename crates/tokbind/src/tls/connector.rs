//! How connections are opened.

use super::connection::TlsConnection;
use super::error::Error;
use super::extension::{self, Offer, SharedExchange};
use super::transport::{Blocking, block_on};
use hyper::Uri;
use hyper::rt::{Read, Write};
use hyper_openssl::SslStream;
use hyper_openssl::client::legacy::{HttpsLayer, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    ConnectConfiguration, SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use std::future::{Future, Ready, ready};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// `SSL_OP_NO_EXTENDED_MASTER_SECRET` (ssl.h of OpenSSL 3), which the openssl crate does not name.
const NO_EXTENDED_MASTER_SECRET: u64 = 1 << 0;
/// `SSL_OP_LEGACY_SERVER_CONNECT` (ssl.h), which the openssl crate does not name.
const LEGACY_SERVER_CONNECT: u64 = 1 << 2;

/// A client certificate with its private key.
#[derive(Clone)]
pub struct Identity {
    certificate: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    /// An identity of parts that are at hand, such as freshly minted ones.
    #[must_use]
    pub const fn new(certificate: X509, key: PKey<Private>) -> Self {
        Self { certificate, chain: Vec::new(), key }
    }

    /// Reads the certificate, which may be followed by its chain, and the key. Both may be the same file's octets.
    ///
    /// # Errors
    ///
    /// There is no certificate or no private key in them.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, ErrorStack> {
        let certificate = X509::from_pem(certificates)?;
        let chain = X509::stack_from_pem(certificates)?.into_iter().skip(1).collect();
        Ok(Self { certificate, chain, key: PKey::private_key_from_pem(key)? })
    }

    /// The certificate itself.
    #[must_use]
    pub const fn certificate(&self) -> &X509 {
        &self.certificate
    }
}

/// Whom to believe.
#[derive(Clone)]
enum Trust {
    System,
    File(PathBuf),
    Certificate(X509),
    Anyone,
}

/// The settings of a [`Connector`].
#[derive(Clone)]
pub struct ConnectorBuilder {
    offer: Offer,
    min_version: Option<SslVersion>,
    max_version: Option<SslVersion>,
    trust: Trust,
    identity: Option<Identity>,
    alpn: Vec<String>,
    server_name_indication: bool,
    extended_master_secret: bool,
    session_tickets: bool,
    resumption: bool,
    timeout: Duration,
}

impl ConnectorBuilder {
    /// What to say about Token Binding. Default: all key parameters.
    #[must_use]
    pub fn offer(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// TLS of exactly this version.
    #[must_use]
    pub fn tls_version(self, version: SslVersion) -> Self {
        self.tls_versions(Some(version), Some(version))
    }

    /// The lowest and highest version of TLS; `None` is OpenSSL's own limit.
    #[must_use]
    pub fn tls_versions(self, min: Option<SslVersion>, max: Option<SslVersion>) -> Self {
        Self { min_version: min, max_version: max, ..self }
    }

    /// Believes the certification authorities of this PEM file, and no others.
    #[must_use]
    pub fn ca_file(self, file: impl Into<PathBuf>) -> Self {
        Self { trust: Trust::File(file.into()), ..self }
    }

    /// Believes this certification authority, and no other.
    #[must_use]
    pub fn ca(self, certificate: X509) -> Self {
        Self { trust: Trust::Certificate(certificate), ..self }
    }

    /// Believes anyone: neither the server's certificate nor its name is checked.
    #[must_use]
    pub fn insecure(self) -> Self {
        Self { trust: Trust::Anyone, ..self }
    }

    /// The certificate to present when the server asks for one.
    #[must_use]
    pub fn identity(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// The application protocols to offer (RFC 7301), best first: [`super::HTTP_2`], [`super::HTTP_1_1`].
    #[must_use]
    pub fn alpn(self, protocols: &[&str]) -> Self {
        Self { alpn: protocols.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Whether to name the host in the ClientHello (RFC 6066 §3). Default: yes.
    #[must_use]
    pub fn server_name_indication(self, on: bool) -> Self {
        Self { server_name_indication: on, ..self }
    }

    /// Whether to offer `extended_master_secret` (RFC 7627) up to TLS 1.2. Default: yes. Off, Token Binding is not safe
    /// and no server may negotiate it.
    #[must_use]
    pub fn extended_master_secret(self, on: bool) -> Self {
        Self { extended_master_secret: on, ..self }
    }

    /// Whether to take session tickets (RFC 5077) up to TLS 1.2; otherwise sessions are resumed by their ID. Default: yes.
    #[must_use]
    pub fn session_tickets(self, on: bool) -> Self {
        Self { session_tickets: on, ..self }
    }

    /// Whether a connection resumes the session of an earlier one of the same connector to the same name. Default: no.
    ///
    /// With TLS 1.3 there is something to resume only once the earlier connection has read something.
    #[must_use]
    pub fn resumption(self, on: bool) -> Self {
        Self { resumption: on, ..self }
    }

    /// How long to wait for the peer, each time: 10 seconds unless told otherwise. It must not be zero.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The connector.
    ///
    /// # Errors
    ///
    /// A setting is unusable: a CA file that cannot be read, a key that does not fit its certificate, an empty ALPN name.
    pub fn build(self) -> Result<Connector, Error> {
        let context = self.context()?;
        let opener = match self.resumption {
            true => Opener::Resuming(Arc::new(HttpsLayer::with_connector(context)?)),
            false => Opener::Fresh(context.build()),
        };
        Ok(Connector { opener, settings: self })
    }

    fn context(&self) -> Result<SslConnectorBuilder, Error> {
        let mut context = SslConnector::builder(SslMethod::tls_client())?;
        extension::register(&mut context)?;
        context.set_min_proto_version(self.min_version)?;
        context.set_max_proto_version(self.max_version)?;
        // RFC 8472 §4 and §6.2: no Token Binding without renegotiation_info. OpenSSL ends a handshake with a server that
        // lacks it, unless this option is set: by OpenSSL 1.1.1, or by the system's openssl.cnf.
        context.clear_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT));
        if !self.extended_master_secret {
            context.set_options(SslOptions::from_bits_retain(NO_EXTENDED_MASTER_SECRET));
        }
        if !self.session_tickets {
            context.set_options(SslOptions::NO_TICKET);
        }
        if !self.alpn.is_empty() {
            context.set_alpn_protos(&protocol_name_list(&self.alpn)?)?;
        }
        if let Some(Identity { certificate, chain, key }) = &self.identity {
            context.set_certificate(certificate)?;
            context.set_private_key(key)?;
            context.check_private_key()?;
            for certificate in chain {
                context.add_extra_chain_cert(certificate.clone())?;
            }
        }
        match &self.trust {
            Trust::System => {}
            Trust::Anyone => context.set_verify(SslVerifyMode::NONE),
            Trust::File(file) => {
                context.set_cert_store(X509StoreBuilder::new()?.build());
                context.set_ca_file(file)?;
            }
            Trust::Certificate(certificate) => {
                let mut store = X509StoreBuilder::new()?;
                store.add_cert(certificate.clone())?;
                context.set_cert_store(store.build());
            }
        }
        Ok(context)
    }

    /// What differs from one connection to the next: the server's name, and what is said about Token Binding.
    fn configure(
        &self,
        configuration: &mut ConnectConfiguration,
        uri: &Uri,
        exchange: &SharedExchange,
    ) -> Result<(), ErrorStack> {
        configuration.set_use_server_name_indication(self.server_name_indication);
        configuration.set_verify_hostname(!matches!(self.trust, Trust::Anyone));
        configure_ipv6(configuration, uri)?;
        exchange.attach(configuration)
    }
}

/// RFC 7301 §3.1: `ProtocolName<1..2^8-1>`, one after the other.
fn protocol_name_list(names: &[String]) -> Result<Vec<u8>, Error> {
    let mut list = Vec::new();
    for name in names {
        let length = u8::try_from(name.len()).ok().filter(|&length| length > 0).ok_or(Error::Protocol)?;
        list.push(length);
        list.extend(name.as_bytes());
    }
    Ok(list)
}

/// What a connector's connections have in common. It is made once: certificates and keys take long to set.
#[derive(Clone)]
enum Opener {
    /// Knows no sessions: an `SSL_CTX` of a client remembers none by itself.
    Fresh(SslConnector),
    /// Resumes whatever it remembers.
    Resuming(Arc<HttpsLayer>),
}

/// Opens connections. Clones share their sessions.
#[derive(Clone)]
pub struct Connector {
    opener: Opener,
    settings: ConnectorBuilder,
}

impl Connector {
    /// The default settings: all key parameters offered, the system's certification authorities, no resumption.
    #[must_use]
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder {
            offer: Offer::default(),
            min_version: None,
            max_version: None,
            trust: Trust::System,
            identity: None,
            alpn: Vec::new(),
            server_name_indication: true,
            extended_master_secret: true,
            session_tickets: true,
            resumption: false,
            timeout: Duration::from_secs(10),
        }
    }

    /// The same connector with another offer. It shares its sessions, so that a connection can resume a session that was
    /// made with the other offer.
    #[must_use]
    pub fn with_offer(&self, offer: Offer) -> Self {
        let settings = self.settings.clone().offer(offer);
        Self { opener: self.opener.clone(), settings }
    }

    /// Connects to an address and speaks TLS to `name` there, a host name or an IP address.
    ///
    /// # Errors
    ///
    /// TCP or TLS: [`Error`].
    pub fn connect(&self, address: impl ToSocketAddrs, name: &str) -> Result<TlsConnection<Blocking>, Error> {
        self.connect_over(TcpStream::connect(address)?, name)
    }

    /// Speaks TLS to `name` over a stream that is already connected. Its timeouts are set.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub fn connect_over(&self, tcp: TcpStream, name: &str) -> Result<TlsConnection<Blocking>, Error> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(self.settings.timeout))?;
        tcp.set_write_timeout(Some(self.settings.timeout))?;
        let mut connecting = pin!(self.connect_transport(Blocking(tcp), name));
        block_on(|context| connecting.as_mut().poll(context))?
    }

    /// Speaks TLS to `name` over any transport. The transport's timeouts are the caller's.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_transport<T>(&self, transport: T, name: &str) -> Result<TlsConnection<T>, Error>
    where
        T: Read + Write + Connection + Unpin + Send + 'static,
    {
        let exchange = SharedExchange::new(self.settings.offer.clone());
        let uri = uri(name)?;
        let connected = match &self.opener {
            Opener::Fresh(connector) => self.connect_fresh(connector, transport, &uri, &exchange).await,
            Opener::Resuming(layer) => self.connect_resuming(layer, transport, &uri, &exchange).await,
        };
        // What the server did wrong says more than OpenSSL's "parse error".
        if let Some(fault) = exchange.fault() {
            return Err(Error::ServerFault(fault));
        }
        TlsConnection::new(connected?, exchange)
    }

    async fn connect_fresh<T: Read + Write + Unpin>(
        &self,
        connector: &SslConnector,
        transport: T,
        uri: &Uri,
        exchange: &SharedExchange,
    ) -> Result<SslStream<T>, Error> {
        let mut configuration = connector.configure()?;
        self.settings.configure(&mut configuration, uri, exchange)?;
        let ssl = configuration.into_ssl(uri.host().unwrap_or_default())?;
        let mut stream = SslStream::new(ssl, transport)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(Error::from_handshake(&error, stream.ssl().verify_result())),
        }
    }

    async fn connect_resuming<T>(
        &self,
        layer: &HttpsLayer,
        transport: T,
        uri: &Uri,
        exchange: &SharedExchange,
    ) -> Result<SslStream<T>, Error>
    where
        T: Read + Write + Connection + Unpin + Send + 'static,
    {
        let mut connector = layer.layer(Dialled(Some(transport)));
        connector.set_callback({
            let (settings, exchange) = (self.settings.clone(), exchange.clone());
            move |configuration, uri| settings.configure(configuration, uri, &exchange)
        });
        match connector.call(uri.clone()).await.map_err(Error::from_connector)? {
            MaybeHttpsStream::Https(stream) => Ok(stream),
            // The scheme is always "https".
            MaybeHttpsStream::Http(_) => Err(Error::Name(uri.to_string())),
        }
    }
}

/// The URI that says whom to speak to, for `HttpsLayer` as well; the port plays no part.
fn uri(name: &str) -> Result<Uri, Error> {
    let bare = name.trim_matches(['[', ']']);
    let authority =
        if matches!(bare.parse(), Ok(IpAddr::V6(_))) { format!("[{bare}]") } else { name.to_owned() };
    Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query("/")
        .build()
        .map_err(|_| Error::Name(name.to_owned()))
}

/// In a URI an IPv6 address stands in brackets (RFC 3986 §3.2.2), in a certificate it does not.
fn configure_ipv6(configuration: &mut ConnectConfiguration, uri: &Uri) -> Result<(), ErrorStack> {
    let address = uri.host().and_then(|host| host.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    if let Some(address) = address {
        // RFC 6066 §3: no literal addresses in server_name.
        configuration.set_use_server_name_indication(false);
        configuration.set_verify_hostname(false);
        configuration.param_mut().set_ip(address)?;
    }
    Ok(())
}

/// A transport that is there already, in the place of something that opens one.
struct Dialled<T>(Option<T>);

/// The transport was asked for a second time.
#[derive(Debug, thiserror::Error)]
#[error("the transport is in use")]
struct InUse;

impl<T> Service<Uri> for Dialled<T> {
    type Response = T;
    type Error = InUse;
    type Future = Ready<Result<T, InUse>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), InUse>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or(InUse))
    }
}
