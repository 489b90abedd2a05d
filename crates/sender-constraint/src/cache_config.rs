//! `OAuth2Cache TYPE [OPTIONS]`: where processes and servers share verdicts and documents.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::options::{OptionError, Options, Warning};
use crate::schema;

/// One shared cache.
pub struct CacheConfig {
    /// What `verify.cache` and `*.cache` call it.
    pub name: String,
    /// Who keeps it.
    pub store: Store,
    /// Values are encrypted and authenticated: whoever can read or write the store is not to be believed.
    pub encrypt: bool,
    /// Larger values are not stored, in octets.
    pub largest_value: usize,
}

/// Who keeps a shared cache.
pub enum Store {
    /// One of httpd's socache providers.
    Socache {
        /// The provider: `shmcb`, `memcache`, `dbm`, ...
        provider: String,
        /// Configuration strings in the provider's own language, one for each instance of the provider. Keys are divided
        /// among the instances.
        arguments: Vec<Option<String>>,
    },
    /// A redis server.
    Redis {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// For AUTH.
        username: Option<String>,
        /// For AUTH.
        password: Option<Zeroizing<String>>,
        /// TLS, with the server's certificate verified.
        tls: bool,
        /// CA certificates (PEM) in place of the system's.
        ca_file: Option<String>,
        /// For connecting and for each command.
        timeout: Duration,
    },
}

/// The name of the cache that has none.
pub const DEFAULT_NAME: &str = "default";

/// The accepted words of the directive's first argument.
const TYPES: &str = "shm, memcache, file, socache or redis";

/// What an entry takes in shared memory, on average, in octets: a verdict with some claims. A JWK set takes a few.
const AVERAGE_ENTRY: u64 = 2048;
/// shmcb divides a segment into at most 256 parts, fewer in a small one, and looks for an entry among all of its part: 60 entries
/// on average in segments of this size, and more in larger ones. So a large cache has several.
const SEGMENT: u64 = 4 * 1024 * 1024;
/// Each is a mapping of each process.
const MOST_SEGMENTS: u64 = 256;
/// The size of the largest values for which each part of a [`SEGMENT`] has room.
const LARGEST_VALUE: usize = 64 * 1024;

impl CacheConfig {
    /// Reads the arguments of the directive. `runtime_directory` is where a cache in a file lies unless `dir=` says otherwise.
    ///
    /// # Errors
    /// An unknown type, or options that are not accepted.
    pub fn parse(
        kind: &str,
        options: &[u8],
        runtime_directory: &str,
    ) -> Result<(Self, Vec<Warning>), OptionError> {
        let own = match kind {
            "shm" => schema::CACHE_SHM,
            "memcache" => schema::CACHE_MEMCACHE,
            "file" => schema::CACHE_FILE,
            "redis" => schema::CACHE_REDIS,
            "socache" => schema::CACHE_SOCACHE,
            _ => return Err(OptionError::Combination(format!("the type must be {TYPES}"))),
        };
        let (options, mut warnings) = Options::parse(options, &[schema::CACHE, own])?;
        let largest = options.number("max_val_size").and_then(|octets| usize::try_from(octets).ok());
        let largest_value = largest.unwrap_or(LARGEST_VALUE);
        let store = match kind {
            "shm" => shared_memory(&options, largest_value),
            "memcache" => memcache(&options)?,
            "file" => file(&options, runtime_directory),
            "redis" => redis(&options),
            _ => provider(options.text("provider").unwrap_or("shmcb")),
        };
        let name = options.text("name").unwrap_or(DEFAULT_NAME);
        if name == "none" {
            return Err(OptionError::ill_typed("name", "another word than none, which switches caches off"));
        }
        let encrypt = options.flag("encrypt").unwrap_or(kind != "shm");
        if !encrypt && kind != "shm" {
            let reason = "encrypt=false: whoever can write to the cache decides which tokens are good";
            warnings.push(Warning(reason.to_owned()));
        }
        Ok((Self { name: name.to_owned(), store, encrypt, largest_value }, warnings))
    }
}

fn shared_memory(options: &Options, largest_value: usize) -> Store {
    let entries = options.number("max_entries").unwrap_or(1000);
    let octets = entries.saturating_mul(AVERAGE_ENTRY);
    let segments = if largest_value > LARGEST_VALUE { 1 } else { (octets / SEGMENT).clamp(1, MOST_SEGMENTS) };
    // The provider wants some room for its index, and refuses very small segments and very large ones.
    let each = (octets / segments).clamp(512 * 1024, u64::from(u32::MAX / 2));
    let arguments = (0..segments).map(|number| Some(format!("token-binding-{number}({each})")));
    Store::Socache { provider: "shmcb".into(), arguments: arguments.collect() }
}

/// libmemcached's `--SERVER=host:port --SERVER=...` becomes httpd's `host:port,...`.
fn memcache(options: &Options) -> Result<Store, OptionError> {
    let text = options.text("config_string").unwrap_or("--SERVER=localhost");
    let server = |word: &str| {
        let server = word.strip_prefix("--SERVER=").unwrap_or(word);
        let usable = !server.is_empty() && !server.starts_with('-');
        let port = if server.contains(':') { "" } else { ":11211" };
        usable.then(|| format!("{server}{port}"))
    };
    let servers: Option<Vec<_>> = text.split_ascii_whitespace().map(server).collect();
    let servers = servers.filter(|servers| !servers.is_empty());
    let servers = servers.ok_or_else(|| {
        OptionError::ill_typed("config_string", "--SERVER=host:port, several separated by blanks")
    })?;
    Ok(Store::Socache { provider: "memcache".into(), arguments: vec![Some(servers.join(","))] })
}

fn file(options: &Options, runtime_directory: &str) -> Store {
    let directory = options.text("dir").unwrap_or(runtime_directory).trim_end_matches('/');
    let argument = format!("{directory}/token-binding-cache");
    Store::Socache { provider: "dbm".into(), arguments: vec![Some(argument)] }
}

fn redis(options: &Options) -> Store {
    let owned = |name| options.text(name).map(str::to_owned);
    Store::Redis {
        host: owned("host").unwrap_or_else(|| "localhost".into()),
        port: options.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(6379),
        username: owned("username"),
        password: owned("password").map(Zeroizing::new),
        tls: options.flag("tls").unwrap_or(false),
        ca_file: owned("ca_file"),
        timeout: Duration::from_millis(options.number("timeout").unwrap_or(500)),
    }
}

/// httpd writes a provider and its argument as one word, `shmcb:/path(size)`.
fn provider(text: &str) -> Store {
    let (provider, argument) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    Store::Socache { provider: provider.to_owned(), arguments: vec![argument.map(str::to_owned)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socache(kind: &str, options: &str) -> (String, Option<String>, bool) {
        let (config, _) = CacheConfig::parse(kind, options.as_bytes(), "/run/apache2").unwrap();
        match config.store {
            Store::Socache { provider, arguments } => (provider, arguments[0].clone(), config.encrypt),
            Store::Redis { .. } => panic!("not a socache"),
        }
    }

    #[test]
    fn the_types_of_mod_oauth2_become_providers_of_httpd() {
        assert_eq!(socache("shm", ""), ("shmcb".into(), Some("token-binding-0(2048000)".into()), false));
        assert_eq!(
            socache("memcache", "config_string=--SERVER%3Da:1+--SERVER%3Db"),
            ("memcache".into(), Some("a:1,b:11211".into()), true)
        );
        assert_eq!(
            socache("file", ""),
            ("dbm".into(), Some("/run/apache2/token-binding-cache".into()), true)
        );
        assert_eq!(
            socache("socache", "provider=shmcb:/x(1)&encrypt=off"),
            ("shmcb".into(), Some("/x(1)".into()), false)
        );
    }

    #[test]
    fn a_large_shared_memory_has_several_segments() {
        let segments =
            |options: &str| match CacheConfig::parse("shm", options.as_bytes(), "").unwrap().0.store {
                Store::Socache { arguments, .. } => {
                    let sizes = arguments.iter().enumerate().map(|(number, argument)| {
                        let size =
                            argument.as_deref().unwrap().strip_prefix(&format!("token-binding-{number}("));
                        size.unwrap().strip_suffix(')').unwrap().parse().unwrap()
                    });
                    let sizes: Vec<u64> = sizes.collect();
                    assert!(sizes.iter().all(|size| *size == sizes[0]));
                    (sizes.len(), sizes[0])
                }
                Store::Redis { .. } => panic!("not a socache"),
            };
        assert_eq!(segments("max_entries=1"), (1, 512 * 1024));
        assert_eq!(segments("max_entries=4095"), (1, 4095 * 2048));
        assert_eq!(segments("max_entries=4096"), (2, SEGMENT));
        assert_eq!(segments("max_entries=100000"), (48, 100_000 * 2048 / 48));
        assert_eq!(segments("max_entries=1000000"), (256, 8_000_000));
        assert_eq!(segments("max_entries=1000000000"), (256, u64::from(u32::MAX / 2)));
        // There must be room for it in one of the parts that shmcb divides a segment into.
        assert_eq!(segments("max_entries=100000&max_val_size=65536").0, 48);
        assert_eq!(segments("max_entries=100000&max_val_size=65537").0, 1);
    }

    #[test]
    fn redis_takes_credentials_and_tls() {
        let options = b"host=r.example&port=7000&username=u&password=p%26q&tls=on&timeout=50&name=two";
        let (config, _) = CacheConfig::parse("redis", options, "").unwrap();
        assert_eq!(config.name, "two");
        let Store::Redis { host, port, username, password, tls, timeout, .. } = config.store else {
            panic!()
        };
        assert_eq!((host.as_str(), port, username.as_deref(), tls), ("r.example", 7000, Some("u"), true));
        assert_eq!(password.as_deref().map(String::as_str), Some("p&q"));
        assert_eq!(timeout, Duration::from_millis(50));
    }

    #[test]
    fn what_makes_no_cache_is_refused() {
        assert!(CacheConfig::parse("shmem", b"", "").is_err());
        assert!(CacheConfig::parse("shm", b"max_entries=-1", "").is_err());
        assert!(CacheConfig::parse("memcache", b"config_string=--BINARY", "").is_err());
        assert!(CacheConfig::parse("redis", b"hostname=x", "").is_err());
        assert!(CacheConfig::parse("shm", b"name=none", "").is_err());
    }

    #[test]
    fn what_leaves_the_server_in_clear_is_warned_about() {
        let warnings =
            |kind, options: &str| CacheConfig::parse(kind, options.as_bytes(), "").unwrap().1.len();
        for kind in ["file", "memcache", "redis", "socache"] {
            assert_eq!(
                (warnings(kind, ""), warnings(kind, "encrypt=on"), warnings(kind, "encrypt=off")),
                (0, 0, 1)
            );
        }
        assert_eq!(warnings("shm", "encrypt=off"), 0);
    }
}
