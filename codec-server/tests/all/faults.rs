//! What fails around the server: its key service, names, disks, memory, clients, and the server itself.

mod clients;
mod defaults;
mod disk;
mod key_service;
mod kill;
mod memory;
mod names;
mod readiness;
