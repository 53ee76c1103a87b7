//! `claude-tasks`: see the library's documentation.

fn main() -> std::process::ExitCode {
    claude_tasks::main()
}
