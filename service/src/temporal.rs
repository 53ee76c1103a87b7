//! What programs need to call Temporal, apart from a client: its address, and the errors that people read when a call is not
//! possible. Each program has a client of its own.

mod address;
mod connection_error;

pub use address::{API_KEY, Address, AddressError, Credentials, shown};
pub use connection_error::{ConnectionError, MissingNamespace};
