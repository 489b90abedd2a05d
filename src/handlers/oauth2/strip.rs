//! `strip=`: takes the token out of a request, so that no application and no backend sees it.

use std::ffi::CStr;

use sender_constraint::token_source::Strip;

use crate::handlers::state;
use crate::request::Request;

/// What a request was stripped of, for the parts of it that come later.
pub(crate) struct Stripped<'r> {
    place: Place<'r>,
    /// What stood there.
    value: &'r CStr,
}

enum Place<'r> {
    Header(&'r CStr),
    Environment(&'r CStr),
    Query,
}

impl<'r> Stripped<'r> {
    pub(crate) fn header(&self, name: &CStr) -> Option<&'r CStr> {
        let same = |stripped: &CStr| stripped.to_bytes().eq_ignore_ascii_case(name.to_bytes());
        matches!(self.place, Place::Header(stripped) if same(stripped)).then_some(self.value)
    }

    pub(crate) fn environment(&self, name: &CStr) -> Option<&'r CStr> {
        matches!(self.place, Place::Environment(stripped) if stripped == name).then_some(self.value)
    }

    pub(crate) fn query(&self) -> Option<&'r CStr> {
        matches!(self.place, Place::Query).then_some(self.value)
    }
}

/// Takes the token out, and notes what stood there.
pub(crate) fn apply<'r>(request: Request<'r>, strip: &'r Strip) {
    let stripped = match strip {
        Strip::Header { name, value } => header(request, name, value.as_deref()),
        Strip::Environment { name } => {
            let stood = request.variables().get(name);
            request.variables().unset(name);
            stood.map(|value| Stripped { place: Place::Environment(name), value })
        }
        // The token stood in the query of the request that this one continues, and this one has a query of its own.
        Strip::Query(_) if was_in_query(request) => None,
        Strip::Query(left) => {
            let stood = request.query();
            request.set_query(left.as_deref().map(|left| request.pool().octets(left)));
            stood.map(|value| Stripped { place: Place::Query, value })
        }
        // The body cannot be read twice by anyone else; what replaces it stays with the request.
        Strip::Form(left) => {
            if let Some(body) = state::chain(request).find_map(|state| state.body.get()) {
                body.replace(request, left.clone());
            }
            None
        }
    };
    if let (Some(stripped), Some(state)) = (stripped, state::own(request)) {
        state.stripped.set(Some(request.pool().put(stripped)));
    }
}

/// Whether a query was stripped already, of this request or of one that it continues.
fn was_in_query(request: Request<'_>) -> bool {
    state::chain(request).filter_map(|state| state.stripped.get()).any(|stripped| stripped.query().is_some())
}

fn header<'r>(request: Request<'r>, name: &'r CStr, left: Option<&[u8]>) -> Option<Stripped<'r>> {
    let headers = request.headers_in();
    let stood = headers.get(name);
    match left {
        Some(left) => headers.set(name, request.pool().octets(left)),
        None => headers.unset(name),
    }
    stood.map(|value| Stripped { place: Place::Header(name), value })
}
