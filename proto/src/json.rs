//! Proto-JSON.
