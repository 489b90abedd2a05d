//! `OAuth2Cache`: what processes and servers share, in one of httpd's socache providers or in redis.

use std::ffi::CString;
use std::time::Duration;

use backchannel::redis_cache::{RedisCache, Settings, Unavailable};
use sender_constraint::cache_config::{CacheConfig, Store};
use sender_constraint::verdict::{CacheKey, Sealer};

use crate::ffi;
use crate::pool::Pool;
use crate::socache::Socache;

/// A shared cache as configured. Lives as long as the configuration.
pub(crate) struct SharedCache {
    pub(crate) name: String,
    /// Values are sealed before they leave this server.
    pub(crate) encrypt: bool,
    largest_value: usize,
    keeper: Keeper,
}

/// By how much sealing makes a value longer, at most, in octets.
const SEALED_MORE: usize = 64;

enum Keeper {
    Socache(Socache),
    /// Each process connects for itself, when it first asks.
    Redis(Box<RedisCache>),
}

impl SharedCache {
    /// Prepares the cache. The error says what to do.
    ///
    /// # Safety
    /// Called while the configuration is read, with its pools.
    pub(crate) unsafe fn create(
        config: CacheConfig,
        temporary: *mut ffi::apr_pool_t,
        pool: *mut ffi::apr_pool_t,
    ) -> Result<Self, String> {
        let keeper = match config.store {
            Store::Socache { provider, arguments } => {
                let c_string =
                    |text| CString::new(text).map_err(|_| "the configuration string holds a NUL".to_owned());
                let provider = c_string(provider)?;
                let arguments = arguments.into_iter().map(|argument| argument.map(c_string).transpose());
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                // SAFETY: as our caller's.
                Keeper::Socache(unsafe { Socache::create(&provider, &arguments, temporary, pool) }?)
            }
            Store::Redis { host, port, username, password, tls, ca_file, timeout } => {
                let password = password.map(|password| password.to_string());
                let ca_file = ca_file.map(Into::into);
                let settings = Settings { host, port, username, password, tls, ca_file, timeout };
                // It connects to nobody yet: nothing of it must be shared across the fork.
                Keeper::Redis(Box::new(RedisCache::new(&settings).map_err(|error| error.to_string())?))
            }
        };
        Ok(Self { name: config.name, encrypt: config.encrypt, largest_value: config.largest_value, keeper })
    }

    /// Starts it, in the parent. `number` is another one for each cache.
    ///
    /// # Safety
    /// Called once from post_config, with its server and its configuration pool.
    pub(crate) unsafe fn start(
        &self,
        number: usize,
        server: *mut ffi::server_rec,
        pool: *mut ffi::apr_pool_t,
    ) -> Result<(), String> {
        match &self.keeper {
            // SAFETY: as our caller's.
            Keeper::Socache(socache) => unsafe { socache.start(number, server, pool) },
            Keeper::Redis(_) => Ok(()),
        }
    }

    /// Opens it in a child.
    ///
    /// # Safety
    /// Called once from child_init with the child's pool.
    pub(crate) unsafe fn child_init(&self, pool: *mut ffi::apr_pool_t) -> Result<(), String> {
        match &self.keeper {
            // SAFETY: as our caller's.
            Keeper::Socache(socache) => unsafe { socache.child_init(pool) },
            Keeper::Redis(_) => Ok(()),
        }
    }

    /// What is kept under `key`, opened if it was sealed. Whatever goes wrong: nothing, and at most one line for the log.
    pub(crate) fn get(
        &self,
        key: &CacheKey,
        sealer: Option<&Sealer>,
        pool: Pool<'_>,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let octets = match &self.keeper {
            Keeper::Socache(socache) => {
                socache.get(key.as_bytes(), self.largest_value.saturating_add(SEALED_MORE), pool)
            }
            Keeper::Redis(redis) => redis.get(&redis_key(key))?,
        };
        let Some(octets) = octets else { return Ok(None) };
        if !self.encrypt {
            return Ok(Some(octets));
        }
        // What does not open was not put there by us: as good as nothing.
        Ok(sealer.and_then(|sealer| sealer.open(key, &octets)))
    }

    /// Keeps `value` for so many seconds, sealed if it leaves this server.
    pub(crate) fn set(
        &self,
        key: &CacheKey,
        value: &[u8],
        seconds: u64,
        sealer: Option<&Sealer>,
        pool: Pool<'_>,
    ) -> Result<(), Unavailable> {
        if value.len() > self.largest_value {
            return Ok(());
        }
        let mut octets = match (self.encrypt, sealer) {
            (false, _) => value.to_vec(),
            (true, Some(sealer)) => match sealer.seal(key, value) {
                Ok(sealed) => sealed,
                Err(_) => return Ok(()),
            },
            (true, None) => return Ok(()),
        };
        match &self.keeper {
            Keeper::Socache(socache) => socache.set(key.as_bytes(), &mut octets, seconds, pool),
            Keeper::Redis(redis) => redis.set(&redis_key(key), &octets, Duration::from_secs(seconds))?,
        }
        Ok(())
    }
}

/// Under a name of our own, since others may use the same server.
fn redis_key(key: &CacheKey) -> Vec<u8> {
    [b"mod_token_binding:".as_slice(), token_binding::base64url::encode(key.as_bytes()).as_bytes()].concat()
}
