//! APR's tables: header fields and variables.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::ffi;

/// A table whose strings live for `'p`. Keys compare without regard to case.
#[derive(Clone, Copy)]
pub(crate) struct Table<'p> {
    raw: NonNull<ffi::apr_table_t>,
    lives: PhantomData<&'p ffi::apr_table_t>,
}

impl<'p> Table<'p> {
    /// # Safety
    /// `raw` is null or a live table whose pool is not cleared before `'p` ends.
    pub(crate) unsafe fn from_raw(raw: *mut ffi::apr_table_t) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, lives: PhantomData })
    }

    /// The first value of that name.
    pub(crate) fn get(self, key: &CStr) -> Option<&'p CStr> {
        // SAFETY: the table is live.
        let value = unsafe { ffi::apr_table_get(self.raw.as_ptr(), key.as_ptr()) };
        // SAFETY: values are C strings of the table's pool.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
    }

    /// All values of that name, valid until the table changes.
    pub(crate) fn values(self, key: &CStr) -> impl Iterator<Item = &'p CStr> {
        self.entries().iter().filter_map(move |entry| {
            // SAFETY: keys are C strings of the table's pool.
            let name = unsafe { CStr::from_ptr(entry.key) };
            // SAFETY: so are values.
            let value = unsafe { CStr::from_ptr(entry.val) };
            name.to_bytes().eq_ignore_ascii_case(key.to_bytes()).then_some(value)
        })
    }

    /// Sets a value in place of all of that name, without copying.
    pub(crate) fn set(self, key: &'p CStr, value: &'p CStr) {
        // SAFETY: the table is live, and so are the strings as long as it is.
        unsafe { ffi::apr_table_setn(self.raw.as_ptr(), key.as_ptr(), value.as_ptr()) };
    }

    /// As [`set`](Self::set), for a name that is not there yet: nothing is looked for.
    pub(crate) fn add(self, key: &'p CStr, value: &'p CStr) {
        // SAFETY: as above.
        unsafe { ffi::apr_table_addn(self.raw.as_ptr(), key.as_ptr(), value.as_ptr()) };
    }

    /// As [`set`](Self::set), for different names that begin alike. A table compares a name with all that share its first four
    /// letters, as these do: where none of them is there yet, they are only added.
    pub(crate) fn set_alike(self, pairs: &'p [(CString, CString)]) {
        let initial = pairs.first().and_then(|(name, _)| name.to_bytes().first());
        // SAFETY: keys are C strings, at least of a NUL.
        let begins = |entry: &ffi::apr_table_entry_t| unsafe { *entry.key }.cast_unsigned();
        let may_be_there = self
            .entries()
            .iter()
            .any(|entry| initial.is_some_and(|initial| initial.eq_ignore_ascii_case(&begins(entry))));
        let put = if may_be_there { Self::set } else { Self::add };
        pairs.iter().for_each(|(name, value)| put(self, name, value));
    }

    /// Removes all values of that name.
    pub(crate) fn unset(self, key: &CStr) {
        // SAFETY: the table is live.
        unsafe { ffi::apr_table_unset(self.raw.as_ptr(), key.as_ptr()) };
    }

    /// Removes `key` where it holds just this value.
    pub(crate) fn unset_value(self, key: &CStr, value: &CStr) {
        if self.get(key) == Some(value) {
            self.unset(key);
        }
    }

    /// Removes every name that begins with `prefix` and holds just this value.
    pub(crate) fn unset_where(self, prefix: &[u8], value: &CStr) {
        let holds = |entry: &&ffi::apr_table_entry_t| {
            // SAFETY: keys are C strings of the table's pool, which outlive their entries.
            let key = unsafe { CStr::from_ptr(entry.key) };
            key.to_bytes().starts_with(prefix) && self.get(key) == Some(value)
        };
        while let Some(entry) = self.entries().iter().find(holds) {
            // SAFETY: as above.
            self.unset(unsafe { CStr::from_ptr(entry.key) });
        }
    }

    /// True where there is nothing in it.
    pub(crate) fn is_empty(self) -> bool {
        self.entries().is_empty()
    }

    /// The entries, valid until the table changes.
    pub(crate) fn entries(self) -> &'p [ffi::apr_table_entry_t] {
        // apr_table_elts() is a cast: a table begins with its array.
        let array = self.raw.as_ptr().cast::<ffi::apr_array_header_t>();
        // SAFETY: the table is live, and an array header stands at its head.
        let array = unsafe { &*array };
        let Ok(length) = usize::try_from(array.nelts) else { return &[] };
        if length == 0 {
            return &[];
        }
        // SAFETY: elts points to nelts entries; the caller does not keep them across a change.
        unsafe { std::slice::from_raw_parts(array.elts.cast(), length) }
    }
}
