//! The program `claude-tasks`. The library `claude_tasks` has all of it.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// Overwrites memory when it is freed. Libraries make copies of payloads and requests that they do not erase.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> std::process::ExitCode {
    claude_tasks::main()
}
