//! A shared cache in redis: with authentication, TLS and time limits, which httpd's own provider does not know.
//!
//! When redis is away, everything goes on without it: after a failure nobody asks for a while, so that a dead cache costs
//! one waiting request per interval and not one each.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::store::X509StoreBuilder;
use redis::{Cmd, Value, cmd};

use crate::lookup::Lookup;
use crate::redis_connection::{Connection, Error};

/// Where redis is and how to get in.
#[derive(Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// For servers with access control lists.
    pub username: Option<String>,
    /// For servers that want one.
    pub password: Option<String>,
    /// TLS, with the server's certificate and name verified.
    pub tls: bool,
    /// CA certificates (PEM) in place of the system's, for TLS.
    pub ca_file: Option<PathBuf>,
    /// For all of one question: name resolution, connection, TLS, authentication, answer.
    pub timeout: Duration,
}

/// Settings that can never work. The text is for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// No certificates are in the file, or it cannot be read.
    #[error("cannot take CA certificates from {path}: {reason}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What OpenSSL says.
        reason: ErrorStack,
    },
    /// OpenSSL makes no TLS client.
    #[error("no TLS: {0}")]
    Tls(ErrorStack),
}

/// The cache cannot be used; the text is for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It failed now.
    #[error("redis at {at}: {reason}; going on without it for {seconds} s")]
    Failed {
        /// Host and port.
        at: String,
        /// What happened.
        reason: String,
        /// For so long nobody will ask again.
        seconds: u64,
    },
    /// It failed a moment ago, and was not asked. One log line per failure is enough.
    #[error("redis failed a moment ago")]
    Resting,
}

/// Connections to one redis server, for the threads of one process.
pub struct RedisCache {
    settings: Settings,
    tls: Option<SslConnector>,
    lookup: Lookup,
    idle: Mutex<Vec<Connection>>,
    /// Milliseconds after `epoch` until which nobody asks; 0 while redis works.
    resting_until: AtomicU64,
    epoch: Instant,
}

impl RedisCache {
    /// How long a failed server is left alone.
    pub const REST: Duration = Duration::from_secs(5);
    const IDLE: usize = 32;

    /// Connects to nobody yet.
    ///
    /// # Errors
    /// The CA file is none.
    pub fn new(settings: &Settings) -> Result<Self, Invalid> {
        Ok(Self {
            settings: settings.clone(),
            tls: if settings.tls { Some(connector(settings)?) } else { None },
            lookup: Lookup::default(),
            idle: Mutex::default(),
            resting_until: AtomicU64::new(0),
            epoch: Instant::now(),
        })
    }

    /// The value of a key, if there is one.
    ///
    /// # Errors
    /// Redis cannot be used now.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.unless_resting(cmd("GET").arg(key), |answer| match answer {
            Value::BulkString(value) => Some(Some(value)),
            Value::Nil => Some(None),
            _ => None,
        })
    }

    /// Stores a value for `lifetime`, at least a millisecond.
    ///
    /// # Errors
    /// Redis cannot be used now.
    pub fn set(&self, key: &[u8], value: &[u8], lifetime: Duration) -> Result<(), Unavailable> {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).clamp(1, Self::LONGEST);
        let command = cmd("SET").arg(key).arg(value).arg("PX").arg(milliseconds).to_owned();
        self.unless_resting(&command, |answer| matches!(answer, Value::Okay).then_some(()))
    }

    /// A thousand years: redis counts from 1970 in an `i64` and refuses what overflows it.
    const LONGEST: u64 = 1000 * 366 * 24 * 3600 * 1000;

    /// Asks, unless a failure was a moment ago. When the rest is over, one asks and the others go on resting until it
    /// knows more: a server that accepts and says nothing costs one waiting request per interval.
    fn unless_resting<T>(
        &self,
        command: &Cmd,
        accept: impl Fn(Value) -> Option<T>,
    ) -> Result<T, Unavailable> {
        let until = self.resting_until.load(Ordering::Relaxed);
        if until != 0 {
            let mine = self.now() >= until
                && self
                    .resting_until
                    .compare_exchange(
                        until,
                        self.after(self.settings.timeout),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    )
                    .is_ok();
            if !mine {
                return Err(Unavailable::Resting);
            }
        }
        let answer = self.ask(command).and_then(|answer| accept(answer).ok_or(Error::Garbage));
        if until != 0 && answer.is_ok() {
            self.resting_until.store(0, Ordering::Relaxed);
        }
        answer.map_err(|error| self.rest(&error))
    }

    fn ask(&self, command: &Cmd) -> Result<Value, Error> {
        let deadline = Instant::now() + self.settings.timeout;
        // A connection that was idle may have been closed by the other side meanwhile: then a new one decides.
        let idle = self.idle().pop();
        let kept =
            idle.and_then(|mut connection| Some((connection.ask(command, deadline).ok()?, connection)));
        let (answer, connection) = match kept {
            Some(kept) => kept,
            None => {
                let mut connection = self.connect(deadline)?;
                (connection.ask(command, deadline)?, connection)
            }
        };
        let mut idle = self.idle();
        if idle.len() < Self::IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, Error> {
        let Settings { host, port, username, password, .. } = &self.settings;
        let addresses = self.lookup.addresses(host, deadline)?;
        let addresses: Vec<_> =
            addresses.into_iter().map(|address| SocketAddr::new(address, *port)).collect();
        let tls = self.tls.as_ref().map(|connector| (connector, host.as_str()));
        let mut connection = Connection::open(&addresses, tls, deadline)?;
        if username.is_some() || password.is_some() {
            let mut command = cmd("AUTH");
            // A user that needs no password has to send one.
            command.arg(username).arg(password.as_deref().unwrap_or_default());
            match connection.ask(&command, deadline)? {
                Value::Okay => {}
                _ => return Err(Error::Garbage),
            }
        }
        Ok(connection)
    }

    fn rest(&self, error: &Error) -> Unavailable {
        self.resting_until.store(self.after(Self::REST), Ordering::Relaxed);
        self.idle().clear();
        let Settings { host, port, .. } = &self.settings;
        Unavailable::Failed {
            at: format!("{host}:{port}"),
            reason: error.to_string(),
            seconds: Self::REST.as_secs(),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// `pause` from now, never 0.
    fn after(&self, pause: Duration) -> u64 {
        self.now().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)).max(1)
    }
}

fn connector(settings: &Settings) -> Result<SslConnector, Invalid> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(Invalid::Tls)?;
    if let Some(path) = &settings.ca_file {
        let fails = |reason| Invalid::CaFile { path: path.clone(), reason };
        // A new store: the one of the builder has the system's certificates.
        builder.set_cert_store(X509StoreBuilder::new().map_err(Invalid::Tls)?.build());
        builder.set_ca_file(path).map_err(fails)?;
    }
    Ok(builder.build())
}
