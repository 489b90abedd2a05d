//! What a hook answers.

use std::ffi::c_int;

use crate::ffi;

/// httpd's `OK`, `DECLINED` or an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Let the next module look.
    Declined,
    /// 400.
    BadRequest,
}

impl From<Status> for c_int {
    fn from(status: Status) -> c_int {
        match status {
            Status::Declined => ffi::DECLINED,
            Status::BadRequest => ffi::HTTP_BAD_REQUEST,
        }
    }
}
