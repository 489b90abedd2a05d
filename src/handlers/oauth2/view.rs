//! A request as token extraction sees it.

use std::cell::OnceCell;
use std::ffi::CStr;

use sender_constraint::token_source;

use crate::body::{self, Body};
use crate::handlers::oauth2::strip::Stripped;
use crate::handlers::state;
use crate::request::Request;

/// The request, with what an earlier part of it was stripped of: an internal redirect or a subrequest still has its token.
pub(crate) struct View<'r> {
    request: Request<'r>,
    stripped: Option<&'r Stripped<'r>>,
    body: OnceCell<Result<&'r Body, &'static str>>,
}

impl<'r> View<'r> {
    pub(crate) fn of(request: Request<'r>) -> Self {
        let stripped = state::chain(request).find_map(|state| state.stripped.get());
        Self { request, stripped, body: OnceCell::new() }
    }
}

impl token_source::Request for View<'_> {
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        let stripped = self.stripped.and_then(|stripped| stripped.header(name));
        stripped.or_else(|| self.request.headers_in().get(name)).map(CStr::to_bytes)
    }

    fn environment(&self, name: &CStr) -> Option<&[u8]> {
        let stripped = self.stripped.and_then(|stripped| stripped.environment(name));
        stripped.or_else(|| self.request.variables().get(name)).map(CStr::to_bytes)
    }

    fn query(&self) -> Option<&[u8]> {
        let stripped = self.stripped.and_then(Stripped::query);
        stripped.or_else(|| self.request.query()).map(CStr::to_bytes)
    }

    fn method(&self) -> &[u8] {
        self.request.method().to_bytes()
    }

    fn form_body(&self) -> Result<&[u8], &'static str> {
        (*self.body.get_or_init(|| body::read(self.request))).map(Body::octets)
    }
}
