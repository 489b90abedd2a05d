//! A connection, in httpd's words.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::binding::TlsConnection;
use crate::config::ServerConfig;
use crate::counters::Lane;
use crate::pool::Pool;
use crate::{ffi, slot};

/// A `conn_rec`; what belongs to it lives for `'c`.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'c> {
    raw: NonNull<ffi::conn_rec>,
    lives: PhantomData<&'c ffi::conn_rec>,
}

impl<'c> Connection<'c> {
    /// # Safety
    /// `raw` is a connection that httpd handed to a callback, which outlives `'c`.
    pub(crate) unsafe fn from_raw(raw: *mut ffi::conn_rec) -> Self {
        // SAFETY: httpd never hands a null connection to a hook.
        Self { raw: unsafe { NonNull::new_unchecked(raw) }, lives: PhantomData }
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::conn_rec {
        self.raw.as_ptr()
    }

    fn fields(&self) -> &'c ffi::conn_rec {
        // SAFETY: live for 'c, and no reference is kept across httpd's changes.
        unsafe { self.raw.as_ref() }
    }

    pub(crate) fn pool(&self) -> Pool<'c> {
        // SAFETY: a connection's pool lives as long as the connection.
        unsafe { Pool::from_raw(self.fields().pool) }
    }

    /// HTTP/2 gives each stream a connection of its own, worked on by a thread of its own.
    pub(crate) fn is_secondary(&self) -> bool {
        !self.fields().master.is_null()
    }

    /// Where its thread counts. Asked for each request, not kept: threads that meet later may have had handshakes on one.
    pub(crate) fn lane(&self) -> Lane {
        // SAFETY: a connection always has a server.
        let server = unsafe { &*self.fields().base_server };
        ServerConfig::of(server).common().map_or_else(Lane::default, |common| common.lane(self.number()))
    }

    /// A number that differs between connections that are served at the same time: a thread's, with httpd's own MPMs.
    pub(crate) fn number(&self) -> usize {
        usize::try_from(self.fields().id.unsigned_abs()).unwrap_or(0)
    }

    /// The connection that TLS runs on.
    pub(crate) fn main(&self) -> Connection<'c> {
        if self.is_secondary() {
            // SAFETY: the master outlives its streams.
            unsafe { Connection::from_raw(self.fields().master) }
        } else {
            *self
        }
    }

    /// What this module keeps about the TLS of this very connection (not its master's).
    pub(crate) fn tls(&self) -> Option<&'c TlsConnection<'c>> {
        // SAFETY: the slot is ours: null or what `set_tls` put there.
        unsafe { slot::get(self.fields().conn_config) }
    }

    pub(crate) fn set_tls(&self, tls: &'c TlsConnection<'c>) {
        // SAFETY: the state lives as long as the connection.
        unsafe { slot::set(self.fields().conn_config, tls) };
    }
}
