//! Removes from a request what only this server may say, before any other module looks, and from its trailers afterwards.

use std::ffi::CStr;

use token_binding::reserved::{self, Field};

use crate::handlers::{pass, state};
use crate::request::Request;
use crate::table::Table;
use crate::{ffi, log};

/// The input filter that watches for trailers.
pub(crate) const TRAILERS: &CStr = c"TOKEN_BINDING_TRAILERS";

/// What was found among a request's header fields.
pub(crate) struct Found<'r> {
    /// The value of `Sec-Token-Binding`. httpd joins fields of one name with a comma.
    pub(crate) message: Option<&'r CStr>,
    /// A second field of that name stood by itself.
    pub(crate) several: bool,
}

/// Removes the reserved fields. `Sec-Token-Binding` is removed too, and handed to the caller.
pub(crate) fn headers<'r>(request: Request<'r>) -> Found<'r> {
    let headers = request.headers_in();
    let mut found = Found { message: None, several: false };
    let mut may_have_trailers = false;
    let mut reserved_fields = 0;
    for entry in headers.entries() {
        let Some(name) = interesting(entry) else { continue };
        match reserved::classify(name.to_bytes()) {
            Field::Message => {
                found.several |= found.message.is_some();
                // SAFETY: values are C strings of the request's pool.
                found.message = unsafe { crate::request::c_str(entry.val) };
                reserved_fields += 1;
            }
            Field::Reserved => reserved_fields += 1,
            Field::Free => may_have_trailers |= announces_body(name, request),
        }
    }
    for _ in 0..reserved_fields {
        remove_one(request, headers);
    }
    if may_have_trailers {
        request.add_input_filter(TRAILERS);
    }
    found
}

/// The body has been read to its end. Trailers must not bring back what was removed; with `MergeTrailers On` httpd
/// has just joined them to the header fields, beside our own.
// RFC 8473 §2: the field is not used in trailers.
pub(crate) fn trailers(request: Request<'_>) {
    let Some(trailers) = request.trailers_in() else { return };
    let mut hostile = false;
    while remove_one(request, trailers) {
        hostile = true;
    }
    if hostile {
        log::request!(request, Info, "request: trailers that only this server may set were removed");
        while remove_one(request, request.headers_in()) {}
        if let Some(state) = state::of(request) {
            pass::on(request, state);
        }
    }
}

/// Removes the first reserved field and all of the same name; false where there is none.
fn remove_one(request: Request<'_>, table: Table<'_>) -> bool {
    let is_reserved = |name: &&CStr| reserved::classify(name.to_bytes()) != Field::Free;
    let Some(name) = table.entries().iter().filter_map(interesting).find(is_reserved) else { return false };
    if reserved::classify(name.to_bytes()) == Field::Reserved {
        log::request!(
            request,
            Debug,
            "request: header {} removed: only this server may set it",
            name.to_string_lossy().escape_default()
        );
    }
    table.unset(name);
    true
}

/// The entry's name, where its initial says that it is worth a look.
fn interesting(entry: &ffi::apr_table_entry_t) -> Option<&CStr> {
    // SAFETY: keys are C strings, at least of a NUL.
    let initial = unsafe { *entry.key }.cast_unsigned();
    // SAFETY: as above.
    reserved::may_be_reserved(initial).then(|| unsafe { CStr::from_ptr(entry.key) })
}

/// Only such a request can have trailers: HTTP/1.1 sends them after a chunked body, HTTP/2 after any.
fn announces_body(name: &CStr, request: Request<'_>) -> bool {
    let name = name.to_bytes();
    name.eq_ignore_ascii_case(b"transfer-encoding")
        || (request.is_http2() && name.eq_ignore_ascii_case(b"content-length"))
}
