//! Settings of a codec server for a limit of its memory, by the formula in `docs/codec-server/kubernetes.md`.

use serde::Serialize;

/// The default of `max_body`, in MiB.
const MAX_BODY: u32 = 8;
/// The default of `max_answer`, in MiB.
const MAX_ANSWER: u32 = 64;
/// What the allocator keeps of freed memory in each arena, in MiB.
const ARENA: u32 = 64;
/// The program, its keys and what the system takes for it, in MiB.
const PROGRAM: u32 = 64;
/// Requests of HTTP/2 at the same time, beside one for each connection.
const MORE_REQUESTS: u32 = 1024;
/// `max_memory` does not count 64 KiB of each request: 16 requests of 64 KiB take one MiB.
const REQUESTS_OF_A_MIB: u32 = 16;

/// What a user sets whose server has a limit of memory.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sizing {
    max_memory_mib: u32,
    max_answer_mib: u32,
    max_connections: u32,
    malloc_arenas: u32,
}

impl Sizing {
    /// The settings for a limit in MiB. Where it is too small for the formula, the server gets the least memory that it can be
    /// configured with.
    pub(super) fn of(limit_mib: u32) -> Self {
        let (malloc_arenas, max_connections) = if limit_mib < 512 { (1, 64) } else { (3, 1024) };
        let uncounted = (max_connections + MORE_REQUESTS).div_ceil(REQUESTS_OF_A_MIB);
        let other = malloc_arenas * ARENA + PROGRAM + uncounted;
        let max_memory_mib = limit_mib.saturating_sub(other).max(6 * MAX_BODY);
        let for_answer = max_memory_mib.saturating_sub(2 * MAX_BODY) * 2 / 5;
        Self {
            max_memory_mib,
            max_answer_mib: for_answer.min(MAX_ANSWER),
            max_connections,
            malloc_arenas,
        }
    }

    /// Lines of the section `[server]`.
    pub(super) fn lines(&self) -> String {
        format!(
            "max_memory = \"{}MiB\"\nmax_answer = \"{}MiB\"\nmax_connections = {}\n",
            self.max_memory_mib, self.max_answer_mib, self.max_connections
        )
    }

    /// The variable that limits what the allocator keeps.
    pub(super) fn variable(&self) -> (&'static str, String) {
        ("MALLOC_ARENA_MAX", self.malloc_arenas.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizing(numbers: [u32; 4]) -> Sizing {
        let [
            max_memory_mib,
            max_answer_mib,
            max_connections,
            malloc_arenas,
        ] = numbers;
        Sizing {
            max_memory_mib,
            max_answer_mib,
            max_connections,
            malloc_arenas,
        }
    }

    /// The second and third are in `docs/codec-server/kubernetes.md`, and the third in `deploy/kubernetes`, too.
    #[test]
    fn settings_follow_from_the_limit() {
        assert_eq!(Sizing::of(128), sizing([48, 12, 64, 1]));
        assert_eq!(Sizing::of(256), sizing([60, 17, 64, 1]));
        assert_eq!(Sizing::of(768), sizing([384, 64, 1024, 3]));
    }

    /// `config check` refuses a smaller `max_memory`.
    #[test]
    fn the_largest_request_fits() {
        for limit in 1..3000 {
            let Sizing {
                max_memory_mib,
                max_answer_mib,
                ..
            } = Sizing::of(limit);
            assert!(max_memory_mib >= 6 * MAX_BODY, "{limit}");
            assert!(
                2 * max_memory_mib >= 4 * MAX_BODY + 5 * max_answer_mib,
                "{limit}"
            );
        }
    }
}
