//! The codec server from outside: the real program on free ports, called with exact bytes.

mod browser;
mod command_line;
mod configuration;
mod configuration_commands;
mod documents;
mod hostile;
mod leaks;
mod lifecycle;
mod protocol;
mod reload;
mod tampering;
