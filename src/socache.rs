//! httpd's shared object caches: mod_socache_shmcb, _memcache, _dbm and their like.

use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::ffi;
use crate::pool::{Pool, c_string};

/// A cache of one of httpd's providers, of one instance or of several among which the keys are divided. Lives as long as the
/// configuration.
pub(crate) struct Socache {
    /// As long as its module is loaded, which may be shorter than this value lives: not for destructors.
    provider: &'static ffi::ap_socache_provider_t,
    instances: Box<[*mut ffi::ap_socache_instance_t]>,
    /// For providers that cannot be used by several threads or processes at one time. Set by `start`, once.
    mutexes: Box<[AtomicPtr<ffi::apr_global_mutex_t>]>,
    /// Set by `start`, once.
    server: AtomicPtr<ffi::server_rec>,
}

// SAFETY: instances are used under their mutex, or their provider says that they need none.
unsafe impl Sync for Socache {}
// SAFETY: as above.
unsafe impl Send for Socache {}

/// The name of the mutexes for httpd's `Mutex` directive.
pub(crate) const MUTEX: &CStr = c"token-binding-cache";
/// A mutex may take a file descriptor in each process, so many instances share some.
const MUTEXES: usize = 16;

impl Socache {
    /// Prepares a cache of the provider `name`: an instance for each configuration string. The error says what to do.
    ///
    /// # Safety
    /// Called while the configuration is read; both pools are live, and `pool` is the configuration's.
    pub(crate) unsafe fn create(
        name: &CStr,
        arguments: &[Option<CString>],
        temporary: *mut ffi::apr_pool_t,
        pool: *mut ffi::apr_pool_t,
    ) -> Result<Self, String> {
        // SAFETY: looks a provider up by group, name and version.
        let provider = unsafe {
            ffi::ap_lookup_provider(
                ffi::AP_SOCACHE_PROVIDER_GROUP.as_ptr(),
                name.as_ptr(),
                ffi::AP_SOCACHE_PROVIDER_VERSION.as_ptr(),
            )
        };
        let name = name.to_string_lossy();
        // SAFETY: providers of this group and version are of this type, and stay while their module is loaded.
        let Some(provider) = (unsafe { provider.cast::<ffi::ap_socache_provider_t>().as_ref() }) else {
            return Err(format!(
                "the cache needs mod_socache_{name}: LoadModule socache_{name}_module before this line (Debian: a2enmod socache_{name})"
            ));
        };
        let create = provider.create.ok_or("the cache's provider is incomplete")?;
        let instance = |argument: &Option<CString>| {
            let mut instance = null_mut();
            let argument = argument.as_ref().map_or(null(), |argument| argument.as_ptr());
            // SAFETY: as the provider's contract says.
            let complaint = unsafe { create(&raw mut instance, argument, temporary, pool) };
            // SAFETY: null or a C string of one of the pools.
            match unsafe { crate::request::c_str(complaint) } {
                Some(complaint) => Err(complaint.to_string_lossy().into_owned()),
                None => Ok(instance),
            }
        };
        let instances = arguments.iter().map(instance).collect::<Result<Box<[_]>, _>>()?;
        let mutexes = match provider.flags & ffi::AP_SOCACHE_FLAG_NOTMPSAFE.cast_unsigned() {
            0 => 0,
            _ => instances.len().min(MUTEXES),
        };
        let mutexes = (0..mutexes).map(|_| AtomicPtr::default()).collect();
        Ok(Self { provider, instances, mutexes, server: AtomicPtr::default() })
    }

    /// Starts the cache, in the parent. `number` is another one for each cache. The error says what failed.
    ///
    /// # Safety
    /// Called once from post_config, with its server and its configuration pool.
    pub(crate) unsafe fn start(
        &self,
        number: usize,
        server: *mut ffi::server_rec,
        pool: *mut ffi::apr_pool_t,
    ) -> Result<(), String> {
        self.server.store(server, Ordering::Release);
        for (place, slot) in self.mutexes.iter().enumerate() {
            let name = c_string(format!("{number}-{place}"));
            let mut mutex = null_mut();
            // SAFETY: in post_config; the mutex lives in the configuration's pool.
            let status = unsafe {
                ffi::ap_global_mutex_create(
                    &raw mut mutex,
                    null_mut(),
                    MUTEX.as_ptr(),
                    name.as_ptr(),
                    server,
                    pool,
                    0,
                )
            };
            if status != ffi::APR_SUCCESS {
                return Err(format!("the mutex of the token cache cannot be created (APR status {status})"));
            }
            slot.store(mutex, Ordering::Release);
        }
        // A verdict with some claims; expired entries are looked for every minute.
        let mut hints =
            ffi::ap_socache_hints { avg_id_len: 32, avg_obj_size: 1024, expiry_interval: 60_000_000 };
        let init = self.provider.init.ok_or("the cache's provider is incomplete")?;
        for &instance in &self.instances {
            // SAFETY: as the provider's contract says; the name is at most 16 characters.
            let status =
                unsafe { init(instance, c"tokbind-verdicts".as_ptr(), &raw mut hints, server, pool) };
            if status != ffi::APR_SUCCESS {
                return Err(format!(
                    "the token cache cannot be started (APR status {status}); see the lines above"
                ));
            }
            let started = Started { provider: self.provider, instance, server };
            // SAFETY: the configuration's pool. The provider's module may have been loaded after ours, so that it is unloaded
            // before what was made while our own configuration was.
            unsafe { Pool::from_raw(pool) }.drop_first(started);
        }
        Ok(())
    }

    /// In a child, after the fork. What cannot be opened is not used.
    ///
    /// # Safety
    /// Called once from child_init with the child's pool.
    pub(crate) unsafe fn child_init(&self, pool: *mut ffi::apr_pool_t) -> Result<(), String> {
        let mut opened = Ok(());
        for slot in &self.mutexes {
            let mut mutex = slot.load(Ordering::Acquire);
            if mutex.is_null() {
                continue;
            }
            // SAFETY: the mutex was made by the parent.
            let file = unsafe { ffi::apr_global_mutex_lockfile(mutex) };
            // SAFETY: as above.
            let status = unsafe { ffi::apr_global_mutex_child_init(&raw mut mutex, file, pool) };
            if status != ffi::APR_SUCCESS {
                // The parent's would not keep the others out.
                mutex = null_mut();
                opened = Err(format!("the mutex of the token cache cannot be opened (APR status {status})"));
            }
            slot.store(mutex, Ordering::Release);
        }
        opened
    }

    /// The value under `id`, if there is one of at most so many octets.
    pub(crate) fn get(&self, id: &[u8; 32], largest: usize, pool: Pool<'_>) -> Option<Vec<u8>> {
        let retrieve = self.provider.retrieve?;
        let mut value = Vec::with_capacity(largest);
        let mut length = u32::try_from(largest).ok()?;
        let entered = self.enter(id)?;
        // SAFETY: as the provider's contract says: it writes at most so many octets, and says how many.
        let status = unsafe {
            retrieve(
                entered.instance,
                self.server.load(Ordering::Acquire),
                id.as_ptr(),
                32,
                value.as_mut_ptr(),
                &raw mut length,
                pool.as_ptr(),
            )
        };
        drop(entered);
        let length = usize::try_from(length).ok()?;
        if status != ffi::APR_SUCCESS || length > largest {
            return None;
        }
        // SAFETY: within the capacity, and written by the provider.
        unsafe { value.set_len(length) };
        Some(value)
    }

    /// Keeps `value` under `id` for so many seconds. A cache that is full or away is no fault: the value is made again.
    pub(crate) fn set(&self, id: &[u8; 32], value: &mut [u8], seconds: u64, pool: Pool<'_>) {
        let (Some(store), Ok(length)) = (self.provider.store, u32::try_from(value.len())) else { return };
        let lifetime = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        // SAFETY: reads the clock.
        let expiry = unsafe { ffi::apr_time_now() }.saturating_add(lifetime);
        let Some(entered) = self.enter(id) else { return };
        // SAFETY: as the provider's contract says.
        unsafe {
            store(
                entered.instance,
                self.server.load(Ordering::Acquire),
                id.as_ptr(),
                32,
                expiry,
                value.as_mut_ptr(),
                length,
                pool.as_ptr(),
            );
        }
    }

    /// The instance of `id`, under its mutex where one is needed; None where that cannot be had. (Where mutexes are fcntl's, the system
    /// now and then takes the threads of two processes for a deadlock.)
    fn enter(&self, id: &[u8; 32]) -> Option<Entered> {
        let number = instance_of(id, self.instances.len());
        let instance = *self.instances.get(number)?;
        let Some(slot) = number.checked_rem(self.mutexes.len()).and_then(|place| self.mutexes.get(place))
        else {
            return Some(Entered { instance, mutex: null_mut() });
        };
        let mutex = slot.load(Ordering::Acquire);
        if mutex.is_null() {
            return None;
        }
        // SAFETY: made by `start`. Held by us alone until dropped; the system releases it when its holder dies.
        let status = unsafe { ffi::apr_global_mutex_lock(mutex) };
        (status == ffi::APR_SUCCESS).then_some(Entered { instance, mutex })
    }
}

/// Which of so many instances keeps `id`, a hash. By other octets than the first, of which shmcb itself makes the same use.
fn instance_of(id: &[u8; 32], instances: usize) -> usize {
    let [_, high, low, ..] = *id;
    usize::from(u16::from_be_bytes([high, low])).checked_rem(instances).unwrap_or_default()
}

/// A cache that was started, to be destroyed before its provider is unloaded.
struct Started {
    provider: &'static ffi::ap_socache_provider_t,
    instance: *mut ffi::ap_socache_instance_t,
    server: *mut ffi::server_rec,
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(destroy) = self.provider.destroy {
            // SAFETY: started, with this server, and not used after this.
            unsafe { destroy(self.instance, self.server) };
        }
    }
}

/// An instance, and its mutex while the provider is at work.
struct Entered {
    instance: *mut ffi::ap_socache_instance_t,
    /// Null where none is needed.
    mutex: *mut ffi::apr_global_mutex_t,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.mutex.is_null() {
            // SAFETY: locked by `enter`.
            unsafe { ffi::apr_global_mutex_unlock(self.mutex) };
        }
    }
}
