//! What a resource server asks of other machines: HTTP to authorization servers through libcurl, and entries in a redis cache.
//!
//! Both are blocking calls with a time limit that holds, meant for a worker of a server: no runtime, nothing that would be
//! lost in a fork, and no thread but the one that waits for a name server. Make one [`http::Client`] and one
//! [`redis_cache::RedisCache`] per process, after the fork.
#![forbid(unsafe_code)]

pub mod http;
mod lookup;
pub mod redis_cache;
mod redis_connection;
mod url;
