//! The cases, in groups. Each case is a function that panics if the service does not conform.

pub mod codec;
pub mod confusion;
pub mod data_keys;
pub mod direct;
pub mod faults;
pub mod lifecycle;
pub mod signing;
