//! What a hook answers.

use std::ffi::c_int;

use crate::ffi;

/// httpd's `OK`, `DECLINED` or an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done here.
    Ok,
    /// Let the next module look.
    Declined,
    /// The request ends with this status.
    Http(u16),
}

impl Status {
    /// 400.
    pub(crate) const BAD_REQUEST: Self = Self::Http(400);
    /// 500.
    pub(crate) const INTERNAL_SERVER_ERROR: Self = Self::Http(500);

    /// What another module's hook answered.
    pub(crate) fn from_hook(answer: c_int) -> Self {
        match answer {
            ffi::OK => Self::Ok,
            ffi::DECLINED => Self::Declined,
            status => Self::Http(u16::try_from(status).unwrap_or(500)),
        }
    }
}

impl From<Status> for c_int {
    fn from(status: Status) -> c_int {
        match status {
            Status::Ok => ffi::OK,
            Status::Declined => ffi::DECLINED,
            Status::Http(status) => c_int::from(status),
        }
    }
}
