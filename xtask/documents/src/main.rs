//! `program-documents FOLDER` writes `FOLDER/PROGRAM/man/*.1` and `FOLDER/PROGRAM/completions/*` of every program.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: program-documents FOLDER");
        return ExitCode::from(64);
    };
    match write_all(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", folder.display());
            ExitCode::from(73)
        }
    }
}

fn write_all(folder: &Path) -> io::Result<()> {
    for command in [
        claude_tasks::command(),
        temporal_kms_codec_server::cli::command(),
    ] {
        let folder = folder.join(command.get_name());
        write_manual(&command, &folder.join("man"))?;
        write_completions(&command, &folder.join("completions"))?;
    }
    Ok(())
}

/// One page for the program and one for each of its commands, such as `codec-server-keys-create.1`.
fn write_manual(command: &Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command.clone(), folder)
}

fn write_completions(command: &Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut command.clone(), command.get_name(), folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_manual_pages_and_completions() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path()).unwrap();
        for file in [
            "codec-server/man/codec-server.1",
            "codec-server/man/codec-server-keys-create.1",
            "codec-server/completions/codec-server.bash",
            "claude-tasks/man/claude-tasks-worker.1",
            "claude-tasks/completions/_claude-tasks",
            "claude-tasks/completions/claude-tasks.fish",
        ] {
            let text = fs::read_to_string(folder.path().join(file)).unwrap();
            assert!(text.len() > 100, "{file} is too short");
        }
    }
}
