//! Configuration of a program: one TOML file, environment variables over it, and every mistake reported at once.
//!
//! [`Settings`] reads the file and the environment. Its caller takes sections from a [`Document`] and typed values from
//! each [`Section`]; mistakes are collected meanwhile, each with its line or its variable.
//!
//! ```
//! use temporal_kms_codec_service::settings::{Settings, values};
//!
//! let settings = Settings::new("EXAMPLE_");
//! let text = "[server]\nmax_body = \"1MiB\"\n";
//! let max_body = settings.parse(Some(text), &|_| None, |document| {
//!     let mut max_body = 4096;
//!     let mut section = document.section("server");
//!     section.set("max_body", &mut max_body, values::bytes);
//!     section.finish();
//!     max_body
//! });
//! assert_eq!(max_body.unwrap(), 1 << 20);
//! ```

mod closest;
mod declared;
mod document;
mod fault;
mod file;
mod found;
mod load;
mod problem;
mod section;
mod source;
pub mod values;

pub use closest::closest;
pub use declared::{Declared, Form};
pub use document::Document;
pub use found::{Found, Loaded};
pub use load::Settings;
pub use problem::{Fault, Place, Problem, Problems};
pub use section::Section;
pub use source::Environment;

#[cfg(test)]
mod tests;
