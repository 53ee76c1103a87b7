//! The program `claude-tasks`. The library `claude_tasks` has all of it.

fn main() -> std::process::ExitCode {
    claude_tasks::main()
}
