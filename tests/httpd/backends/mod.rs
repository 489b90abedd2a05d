//! The reference backends of docs/backends, as they stand there, each behind a real httpd: their sessions are good for the
//! client that opened them, and for nobody else.

pub mod application;
mod certificates;
mod documents;
mod down;
mod hostile;
mod names;
mod sessions;
mod stage;
mod verifying;
