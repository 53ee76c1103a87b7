//! Keys, tokens and plaintext are in no output of the server, and keys leave its memory.

mod answers;
mod memory;
mod outputs;
