//! Keys, tokens and plaintext are in no output of the server, and keys leave its memory.

mod answers;
mod data_key;
mod memory;
mod other_processes;
mod outputs;
mod own_memory;
