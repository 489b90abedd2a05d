//! A cursor over octets in the TLS presentation language (RFC 8446 §3), that names the field it failed at.

use crate::message::{Field, MessageError};

/// What of an enclosing field is still unread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `length` octets.
    pub(crate) fn take(&mut self, length: usize, field: Field) -> Result<&'a [u8], MessageError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(MessageError::Truncated(field))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A `uint8`.
    pub(crate) fn uint8(&mut self, field: Field) -> Result<u8, MessageError> {
        let (&octet, rest) = self.0.split_first().ok_or(MessageError::Truncated(field))?;
        self.0 = rest;
        Ok(octet)
    }

    /// A vector whose length stands before it in one octet.
    pub(crate) fn vector8(&mut self, field: Field, minimum: usize) -> Result<&'a [u8], MessageError> {
        let length = self.uint8(field)?;
        self.vector(usize::from(length), field, minimum)
    }

    /// A vector whose length stands before it in two octets.
    pub(crate) fn vector16(&mut self, field: Field, minimum: usize) -> Result<&'a [u8], MessageError> {
        let (&length, rest) = self.0.split_first_chunk().ok_or(MessageError::Truncated(field))?;
        self.0 = rest;
        self.vector(usize::from(u16::from_be_bytes(length)), field, minimum)
    }

    fn vector(&mut self, length: usize, field: Field, minimum: usize) -> Result<&'a [u8], MessageError> {
        if length < minimum {
            return Err(MessageError::TooShort { field, length, minimum });
        }
        self.take(length, field)
    }

    /// Nothing may follow the field that was read last.
    pub(crate) const fn end(self, after: Field) -> Result<(), MessageError> {
        if self.0.is_empty() { Ok(()) } else { Err(MessageError::Trailing { after, octets: self.0.len() }) }
    }
}
