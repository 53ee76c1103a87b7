//! The memory of a process: keeps keys and plaintext away from core dumps and from other processes of the same user, and has
//! the memory of large requests used again.

use std::hint::black_box;

use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};

/// Forbids core dumps and `ptrace` by processes without privileges. A failure is logged: the program can still run.
pub fn protect() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "cannot switch core dumps off; a crash may write keys and plaintext to disk");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::warn!(%error, "cannot protect this process's memory from other processes of its user");
    }
}

/// Blocks of memory up to this size are used again. glibc raises the size, to 32 MiB at most, when a larger block is freed.
/// Each malloc arena may keep up to twice this size. `MALLOC_ARENA_MAX` limits the number of arenas.
const REUSED: usize = 24 << 20;

/// Has the allocator keep the memory of large requests for the next ones. Otherwise it gives each large block back to the
/// system, which clears a new one page by page.
///
/// glibc takes the size of the largest block that was freed as its measure (mallopt(3), `M_MMAP_THRESHOLD` and
/// `M_TRIM_THRESHOLD`). So a block is freed that was never used, and takes no memory. Variables such as
/// `MALLOC_TRIM_THRESHOLD_` still decide where they are set. With other allocators, this has no effect.
pub fn reuse_large_blocks() {
    drop(black_box(Vec::<u8>::with_capacity(REUSED)));
}
