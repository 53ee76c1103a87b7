//! The documents: their commands run as they are written, their links lead somewhere, and their words are plain.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod blocks;
mod commands;
mod documents;
mod links;
mod sdk;
mod setups;
mod shell;
mod words;
