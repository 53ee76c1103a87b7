//! Files of a task: those that the service writes into the workspace before the session, and those that it uploads after it.
//!
//! The workspace is hostile: a repository or a session can put links, devices and strange names anywhere. Every path is
//! opened folder by folder, and no link is followed.

mod beneath;
mod collect;
mod commands;
mod definitions;
mod dotenv;
mod mcp;
mod patterns;
mod write;

pub(crate) use collect::{Upload, UploadLimits, collect, object_path};
pub(crate) use commands::{CommandLimits, run_commands};
pub(crate) use write::write;
