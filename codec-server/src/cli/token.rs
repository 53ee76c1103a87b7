//! `token`: a token for a program, and the part of the configuration that accepts it.

use std::io::Write as _;

use clap::Args;
use temporal_kms_codec_service::{
    auth::{NewToken, Permission},
    exit::print,
};

use super::exit::{Failure, Status};

pub(super) const HELP: &str = "\
Examples:
  codec-server token --name report --permission payments:read
  (umask 077; codec-server token --name report > report.token)

The token goes to stdout, and the section for the configuration to stderr. The
configuration has only the hash of the token, so the token is shown once.
Callers send it as `Authorization: Bearer TOKEN`.";

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The caller's name, which the log shows.
    #[arg(long, default_value = "NAME", value_parser = name)]
    name: String,
    /// What the caller may do: NAMESPACE:ROLE with the role read, write, worker or admin; temporal-system:ROLE for all
    /// namespaces. Can be repeated.
    #[arg(
        long = "permission",
        value_name = "NAMESPACE:ROLE",
        default_value = "NAMESPACE:read",
        value_parser = permission
    )]
    permissions: Vec<String>,
}

/// A name that needs no escapes in TOML.
fn name(text: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=100).contains(&text.len()) && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 100 letters, digits, - and _")
}

fn permission(text: &str) -> Result<String, &'static str> {
    if text.contains(['"', '\\']) {
        return Err("expected NAMESPACE:ROLE without quotes");
    }
    Permission::parse(text).map(|_| text.to_owned())
}

pub(super) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let made = NewToken::generate().map_err(|error| Failure::new(Status::Software, error))?;
    let permissions: Vec<String> = args
        .permissions
        .iter()
        .map(|permission| format!("\"{permission}\""))
        .collect();
    // It is not an error when nobody reads it.
    let _ = writeln!(
        std::io::stderr(),
        "# Put this section into the configuration. The token is not shown again.\n\
         [auth.tokens.{}]\nsha256 = [\"{}\"]\npermissions = [{}]",
        args.name,
        made.sha256,
        permissions.join(", ")
    );
    print(&made.token)
}
