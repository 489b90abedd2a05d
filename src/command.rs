//! How httpd calls a directive's setter.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::config::{DirConfig, ServerConfig};
use crate::pool::Pool;
use crate::{ffi, module};

/// What a setter answers: nothing, or what is wrong.
pub(crate) type Setting = Result<(), String>;

/// httpd's table of directives, the last one [`END`].
pub(crate) struct Commands<const N: usize>(pub(crate) [ffi::command_rec; N]);
// SAFETY: httpd reads the table only.
unsafe impl<const N: usize> Sync for Commands<N> {}

impl<const N: usize> Commands<N> {
    pub(crate) const fn as_ptr(&self) -> *const ffi::command_rec {
        self.0.as_ptr()
    }
}

/// Allowed in the server config and in virtual hosts.
pub(crate) const SERVER: c_int = ffi::RSRC_CONF;
/// Also in directories and locations; never in .htaccess, since security policy is the administrator's.
pub(crate) const DIRECTORY: c_int = ffi::RSRC_CONF | ffi::ACCESS_CONF;

/// The end of the table.
pub(crate) const END: ffi::command_rec = ffi::command_rec {
    name: std::ptr::null(),
    func: ffi::cmd_func { no_args: None },
    cmd_data: std::ptr::null_mut(),
    req_override: 0,
    args_how: 0,
    errmsg: std::ptr::null(),
};

/// A directive that takes `On` or `Off`.
macro_rules! flag {
    ($name:literal, $place:expr, $setter:path, $help:literal) => {{
        unsafe extern "C" fn set(
            command: *mut $crate::ffi::cmd_parms,
            section: *mut std::ffi::c_void,
            on: std::ffi::c_int,
        ) -> *const std::ffi::c_char {
            $crate::guard::guard(|| {
                // SAFETY: httpd calls with the directive at hand and its section's configuration.
                let directive = unsafe { $crate::command::Directive::from_raw(command, section) };
                directive.apply(|config| $setter(config, on != 0))
            })
        }
        let func = $crate::ffi::cmd_func { flag: Some(set) };
        $crate::command::command($name, func, $crate::ffi::cmd_how_FLAG, $place, $help)
    }};
}
/// A directive that takes one word.
macro_rules! one {
    ($name:literal, $place:expr, $setter:path, $help:literal) => {{
        unsafe extern "C" fn set(
            command: *mut $crate::ffi::cmd_parms,
            section: *mut std::ffi::c_void,
            word: *const std::ffi::c_char,
        ) -> *const std::ffi::c_char {
            $crate::guard::guard(|| {
                // SAFETY: httpd calls with the directive at hand and its section's configuration.
                let directive = unsafe { $crate::command::Directive::from_raw(command, section) };
                // SAFETY: a C string of the configuration's pool.
                let word = unsafe { std::ffi::CStr::from_ptr(word) };
                directive.apply(|config| $setter(config, word))
            })
        }
        let func = $crate::ffi::cmd_func { take1: Some(set) };
        $crate::command::command($name, func, $crate::ffi::cmd_how_TAKE1, $place, $help)
    }};
}
/// A directive that takes as many words as there are.
macro_rules! list {
    ($name:literal, $place:expr, $setter:path, $help:literal) => {{
        unsafe extern "C" fn set(
            command: *mut $crate::ffi::cmd_parms,
            section: *mut std::ffi::c_void,
            count: std::ffi::c_int,
            words: *const *mut std::ffi::c_char,
        ) -> *const std::ffi::c_char {
            $crate::guard::guard(|| {
                // SAFETY: httpd calls with the directive at hand and its section's configuration.
                let directive = unsafe { $crate::command::Directive::from_raw(command, section) };
                // SAFETY: that many C strings of the configuration's pool.
                let words = unsafe { $crate::command::words(count, words) };
                directive.apply(|config| $setter(&directive, config, &words))
            })
        }
        let func = $crate::ffi::cmd_func { take_argv: Some(set) };
        $crate::command::command($name, func, $crate::ffi::cmd_how_TAKE_ARGV, $place, $help)
    }};
}
pub(crate) use {flag, list, one};

/// A row of the table.
pub(crate) const fn command(
    name: &'static CStr,
    func: ffi::cmd_func,
    args_how: ffi::cmd_how,
    place: c_int,
    help: &'static CStr,
) -> ffi::command_rec {
    ffi::command_rec {
        name: name.as_ptr(),
        func,
        cmd_data: std::ptr::null_mut(),
        req_override: place,
        args_how,
        errmsg: help.as_ptr(),
    }
}

/// A directive being read.
pub(crate) struct Directive<'s> {
    command: &'s ffi::cmd_parms,
    section: *mut c_void,
}

/// What a directive sets.
pub(crate) trait Target {
    /// The configuration that the directive stands in.
    fn of(directive: &Directive<'_>) -> *mut Self;
}

impl Target for ServerConfig {
    fn of(directive: &Directive<'_>) -> *mut Self {
        // SAFETY: a directive always stands in a server.
        let server = unsafe { &*directive.command.server };
        // SAFETY: made by our create callback for this server.
        unsafe { ffi::ap_get_module_config(server.module_config, module()) }.cast()
    }
}

impl Target for DirConfig {
    fn of(directive: &Directive<'_>) -> *mut Self {
        directive.section.cast()
    }
}

impl<'s> Directive<'s> {
    /// # Safety
    /// `command` is httpd's, `section` the configuration that our create callback made for the section at hand.
    pub(crate) unsafe fn from_raw(command: *mut ffi::cmd_parms, section: *mut c_void) -> Self {
        // SAFETY: httpd never calls a setter without.
        Self { command: unsafe { &*command }, section }
    }

    /// Runs a setter. Its complaint goes to httpd as a C string of the configuration's pool, after the directive's name.
    pub(crate) fn apply<C: Target>(&self, setter: impl FnOnce(&mut C) -> Setting) -> *const c_char {
        let command = std::ptr::from_ref(self.command).cast_mut();
        // AllowOverrideList lets any directive into .htaccess, whatever its place says.
        // SAFETY: httpd's record of the directive at hand.
        let complaint = unsafe { ffi::ap_check_cmd_context(command, ffi::NOT_IN_HTACCESS.cast_unsigned()) };
        if !complaint.is_null() {
            return complaint;
        }
        // SAFETY: httpd reads the configuration in one thread, one directive after the other.
        let config = unsafe { &mut *C::of(self) };
        let Err(complaint) = setter(config) else { return std::ptr::null() };
        self.pool().string(&format!("{}: {complaint}", self.name().to_string_lossy())).as_ptr()
    }

    /// The configuration's pool, which outlives all that refers to the configuration.
    pub(crate) fn pool(&self) -> Pool<'static> {
        // SAFETY: as said.
        unsafe { Pool::from_raw(self.command.pool) }
    }

    /// A pool for the time of reading the configuration.
    pub(crate) fn temporary_pool(&self) -> *mut ffi::apr_pool_t {
        self.command.temp_pool
    }

    /// For the administrator, with the line it is about.
    pub(crate) fn warn(&self, warning: &str) {
        // SAFETY: httpd's record of the line at hand.
        let place = unsafe { self.command.directive.as_ref() };
        let line = place.map_or(0, |place| place.line_num);
        // SAFETY: its file's name is a C string.
        let file = place.and_then(|place| unsafe { crate::request::c_str(place.filename) }).unwrap_or(c"?");
        let name = self.name().to_string_lossy();
        crate::log::server!(None, Warning, "{name}: {warning} ({}:{line})", file.to_string_lossy());
    }

    fn name(&self) -> &'s CStr {
        // SAFETY: httpd's table row of this directive.
        let row = unsafe { self.command.cmd.as_ref() };
        // SAFETY: its name is a C string.
        row.map_or(c"", |row| unsafe { CStr::from_ptr(row.name) })
    }
}

/// The words of a directive.
///
/// # Safety
/// `words` are that many C strings of the configuration's pool.
pub(crate) unsafe fn words<'s>(count: c_int, words: *const *mut c_char) -> Vec<&'s CStr> {
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else { return Vec::new() };
    // SAFETY: the caller vouches for the array.
    let words = unsafe { std::slice::from_raw_parts(words, count) };
    // SAFETY: the caller vouches for the strings.
    words.iter().map(|&word| unsafe { CStr::from_ptr(word) }).collect()
}
