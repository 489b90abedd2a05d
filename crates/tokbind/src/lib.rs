//! A client for Token Binding: library and command.
#![forbid(unsafe_code)]
