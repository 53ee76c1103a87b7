//! The codec server from outside: the real program on free ports, called with exact bytes.

mod authentication;
mod browser;
mod command_line;
mod configuration;
mod configuration_commands;
mod documents;
mod foreign;
mod heads;
mod hostile;
mod http2;
mod issuer_keys;
mod lifecycle;
mod page;
mod protocol;
mod reload;
mod tampering;
mod tls;
mod unix_socket;
