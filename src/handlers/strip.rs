//! Removes from a request what only this server may say, before any other module looks, and from its trailers afterwards.

use std::ffi::CStr;

use token_binding::reserved::{self, Field};

use crate::common::{ClaimFields, Common};
use crate::handlers::{client_cert, oauth2, pass, state};
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
    let rules = Rules::of(request);
    let headers = request.headers_in();
    let mut found = Found { message: None, several: false };
    let mut may_have_trailers = false;
    let mut reserved_fields = 0;
    let mut first = None;
    for entry in headers.entries() {
        let Some(name) = rules.interesting(entry) else { continue };
        let field = rules.classify(name);
        if field != Field::Free {
            reserved_fields += 1;
            first.get_or_insert((name, field));
        }
        match field {
            Field::Message => {
                found.several |= found.message.is_some();
                // SAFETY: values are C strings of the request's pool.
                found.message = unsafe { crate::request::c_str(entry.val) };
            }
            Field::Reserved => (),
            Field::Free => may_have_trailers |= announces_body(name, request),
        }
    }
    if let Some((name, field)) = first {
        remove(request, headers, name, field);
    }
    for _ in 1..reserved_fields {
        rules.remove_one(request, headers);
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
    let rules = Rules::of(request);
    let mut hostile = false;
    while rules.remove_one(request, trailers) {
        hostile = true;
    }
    if hostile {
        log::request!(request, Info, "request: trailers that only this server may set were removed");
        while rules.remove_one(request, request.headers_in()) {}
        if let Some(state) = state::of(request) {
            pass::on(request, state);
        }
        client_cert::headers(request);
        oauth2::authentication::pass_again(request);
    }
}

/// What is reserved: the names of Token Binding and client certificates, and those of claims in any location.
struct Rules<'r> {
    claims: Option<&'r ClaimFields>,
}

impl<'r> Rules<'r> {
    fn of(request: Request<'r>) -> Self {
        let finished = request.server_config().common().and_then(Common::finished);
        Self { claims: finished.map(|finished| &finished.claim_fields) }
    }

    /// The entry's name, where its initial says that it is worth a look.
    fn interesting<'e>(&self, entry: &'e ffi::apr_table_entry_t) -> Option<&'e CStr> {
        // SAFETY: keys are C strings, at least of a NUL.
        let initial = unsafe { *entry.key }.cast_unsigned();
        let may_be =
            reserved::may_be_reserved(initial) || self.claims.is_some_and(|claims| claims.may_be(initial));
        // SAFETY: as above.
        may_be.then(|| unsafe { CStr::from_ptr(entry.key) })
    }

    fn classify(&self, name: &CStr) -> Field {
        match reserved::classify(name.to_bytes()) {
            Field::Free if self.claims.is_some_and(|claims| claims.are_ours(name.to_bytes())) => {
                Field::Reserved
            }
            field => field,
        }
    }

    /// Removes the first reserved field and all of the same name; false where there is none.
    fn remove_one(&self, request: Request<'_>, table: Table<'_>) -> bool {
        let reserved = table.entries().iter().filter_map(|entry| self.interesting(entry)).find_map(|name| {
            let field = self.classify(name);
            (field != Field::Free).then_some((name, field))
        });
        let Some((name, field)) = reserved else { return false };
        remove(request, table, name, field);
        true
    }
}

/// Removes all fields of this name.
fn remove(request: Request<'_>, table: Table<'_>, name: &CStr, field: Field) {
    if field == Field::Reserved {
        log::request!(
            request,
            Debug,
            "request: header {} removed: only this server may set it",
            name.to_string_lossy().escape_default()
        );
    }
    table.unset(name);
}

/// Only such a request can have trailers: HTTP/1.1 sends them after a chunked body, HTTP/2 after any.
fn announces_body(name: &CStr, request: Request<'_>) -> bool {
    let name = name.to_bytes();
    name.eq_ignore_ascii_case(b"transfer-encoding")
        || (request.is_http2() && name.eq_ignore_ascii_case(b"content-length"))
}
