//! A shared cache in redis: with authentication, TLS and time limits, which httpd's own provider does not know.
//!
//! When redis is away, everything goes on without it: after a failure nobody asks for a while, so that a dead cache costs
//! one waiting request per interval and not one each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

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
    /// TLS, with the server's certificate verified by the system's store.
    pub tls: bool,
    /// For each connection attempt, and for each answer.
    pub timeout: Duration,
}

/// The cache cannot be used; the text is for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It failed now.
    #[error("redis at {at}: {reason}; going on without it for {seconds} s")]
    Failed {
        /// Host and port.
        at: String,
        /// What the client library says.
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
    info: ConnectionInfo,
    at: String,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    /// Milliseconds after `epoch` until which nobody asks.
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
    /// The settings make no address.
    pub fn new(settings: &Settings) -> Result<Self, Unavailable> {
        let at = format!("{}:{}", settings.host, settings.port);
        let address = if settings.tls {
            ConnectionAddr::TcpTls { host: settings.host.clone(), port: settings.port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(settings.host.clone(), settings.port)
        };
        let mut credentials = RedisConnectionInfo::default();
        if let Some(username) = &settings.username {
            credentials = credentials.set_username(username);
        }
        if let Some(password) = &settings.password {
            credentials = credentials.set_password(password);
        }
        let info = address
            .into_connection_info()
            .map_err(|error| Unavailable::Failed { at: at.clone(), reason: error.to_string(), seconds: 0 })?
            .set_redis_settings(credentials);
        Ok(Self {
            info,
            at,
            timeout: settings.timeout,
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
        self.ask(redis::cmd("GET").arg(key))
    }

    /// Stores a value for `lifetime`, at least a millisecond.
    ///
    /// # Errors
    /// Redis cannot be used now.
    pub fn set(&self, key: &[u8], value: &[u8], lifetime: Duration) -> Result<(), Unavailable> {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        self.ask(redis::cmd("SET").arg(key).arg(value).arg("PX").arg(milliseconds))
    }

    fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        if self.now() < self.resting_until.load(Ordering::Relaxed) {
            return Err(Unavailable::Resting);
        }
        // A connection that was idle may have been closed by the other side meanwhile: then a new one decides.
        if let Some(mut connection) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
            && let Ok(answer) = command.query(&mut connection)
        {
            self.keep(connection);
            return Ok(answer);
        }
        self.ask_anew(command).map_err(|error| self.rest(&error))
    }

    fn ask_anew<T: redis::FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(self.info.clone())?.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        let answer = command.query(&mut connection)?;
        self.keep(connection);
        Ok(answer)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::IDLE {
            idle.push(connection);
        }
    }

    fn rest(&self, error: &redis::RedisError) -> Unavailable {
        let rest = u64::try_from(Self::REST.as_millis()).unwrap_or(u64::MAX);
        self.resting_until.store(self.now().saturating_add(rest), Ordering::Relaxed);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Unavailable::Failed { at: self.at.clone(), reason: error.to_string(), seconds: Self::REST.as_secs() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
