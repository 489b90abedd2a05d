//! Lines in httpd's error log. The level is tested before anything is formatted.
//!
//! House rule: lower case, subject first, never a token, a key, an EKM or a header value above `trace`.
//! The client's faults at `info`, the administrator's at `error`.

use std::ffi::{CStr, c_int};
use std::fmt::{Arguments, Write};

use crate::{connection::Connection, ffi, request::Request};

/// httpd's levels, as far as this module uses them.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    Critical,
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    pub(crate) fn number(self) -> c_int {
        match self {
            Self::Critical => ffi::APLOG_CRIT,
            Self::Error => ffi::APLOG_ERR,
            Self::Warning => ffi::APLOG_WARNING,
            Self::Info => ffi::APLOG_INFO,
            Self::Debug => ffi::APLOG_DEBUG,
        }
    }
}

/// Logs about a request: `log::request!(r, Info, "...", ...)`.
macro_rules! request {
    ($request:expr, $level:ident, $($message:tt)+) => {
        $crate::log::write_request($request, $crate::log::Level::$level, $crate::log::here!(), line!(), format_args!($($message)+))
    };
}
/// Logs about a connection.
macro_rules! connection {
    ($connection:expr, $level:ident, $($message:tt)+) => {
        $crate::log::write_connection($connection, $crate::log::Level::$level, $crate::log::here!(), line!(), format_args!($($message)+))
    };
}
/// Logs about a server, or with `None` about the process.
macro_rules! server {
    ($server:expr, $level:ident, $($message:tt)+) => {
        $crate::log::write_server($server, $crate::log::Level::$level, $crate::log::here!(), line!(), format_args!($($message)+))
    };
}
/// The source file's name for httpd.
macro_rules! here {
    () => {
        const {
            match std::ffi::CStr::from_bytes_with_nul(concat!(file!(), "\0").as_bytes()) {
                Ok(file) => file,
                Err(_) => c"?",
            }
        }
    };
}
pub(crate) use {connection, here, request, server};

pub(crate) fn write_request(
    request: Request<'_>,
    level: Level,
    file: &CStr,
    line: u32,
    message: Arguments<'_>,
) {
    // SAFETY: the request is live; the call reads the log configuration only.
    let enabled = unsafe { ffi::ap_get_request_module_loglevel(request.as_ptr(), crate::module_index()) };
    if enabled < level.number() {
        return;
    }
    let text = text(message);
    // SAFETY: file is NUL-terminated, the text's length goes along.
    unsafe {
        ffi::tb_log_request(
            file.as_ptr(),
            line_number(line),
            crate::module_index(),
            level.number(),
            request.as_ptr(),
            text.as_ptr().cast(),
            length(&text),
        );
    }
}

pub(crate) fn write_connection(
    connection: Connection<'_>,
    level: Level,
    file: &CStr,
    line: u32,
    message: Arguments<'_>,
) {
    // SAFETY: the connection is live; the call reads the log configuration only.
    let enabled = unsafe { ffi::ap_get_conn_module_loglevel(connection.as_ptr(), crate::module_index()) };
    if enabled < level.number() {
        return;
    }
    let text = text(message);
    // SAFETY: file is NUL-terminated, the text's length goes along.
    unsafe {
        ffi::tb_log_connection(
            file.as_ptr(),
            line_number(line),
            crate::module_index(),
            level.number(),
            connection.as_ptr(),
            text.as_ptr().cast(),
            length(&text),
        );
    }
}

pub(crate) fn write_server(
    server: Option<&ffi::server_rec>,
    level: Level,
    file: &CStr,
    line: u32,
    message: Arguments<'_>,
) {
    let text = text(message);
    // SAFETY: httpd takes a null server as "the process"; the text's length goes along.
    unsafe {
        ffi::tb_log_server(
            file.as_ptr(),
            line_number(line),
            crate::module_index(),
            level.number(),
            server.map_or(std::ptr::null(), std::ptr::from_ref),
            text.as_ptr().cast(),
            length(&text),
        );
    }
}

fn text(message: Arguments<'_>) -> String {
    let mut text = String::new();
    // Writing to a String fails only when a Display implementation does; what it wrote so far is still worth a line.
    let _ = text.write_fmt(message);
    text
}

fn length(text: &str) -> c_int {
    c_int::try_from(text.len()).unwrap_or(c_int::MAX)
}

fn line_number(line: u32) -> c_int {
    c_int::try_from(line).unwrap_or(0)
}
