//! Repositories of tasks: checkout before Claude Code, commit and push after it.
//!
//! A repository, and all that a session leaves in the workspace, is hostile. git runs without any configuration but the
//! service's own, without hooks, filters and submodules, over ssh and https only. After a session the workspace's `.git` is
//! not used at all. The service keeps a repository of its own outside the workspace:
//!
//! 1. The checkout clones into the workspace, and copies the fresh repository to a folder that no program of the task sees.
//! 2. The commit begins without the key: git reads the files of the workspace against the service's repository, which it can
//!    only read, and packs what is new.
//! 3. The pack is checked and imported where the workspace cannot be seen. Only a tree passes from one side to the other.
//! 4. The push runs with the key in the service's repository.

mod attempts;
mod call;
mod checkout;
mod commit;
mod explain;
mod finish;
mod identity;
mod place;
mod push;
mod rebase;
mod remote;
mod ssh;
#[cfg(test)]
mod tests;

pub(crate) use checkout::{Checkout, check_out};
#[cfg(test)]
use finish::Finish;
pub(crate) use finish::finish;
pub(crate) use place::{GitPlace, GitSettings};
