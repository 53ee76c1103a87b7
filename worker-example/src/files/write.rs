//! The files that the service writes into the workspace, after the checkout and before the session.

use std::{ffi::OsStr, io, path::Path};

use zeroize::Zeroizing;

use super::{beneath::Folder, definitions, dotenv::dotenv_line, mcp};
use crate::task::{StepError, TaskRequest};

/// A file that the service writes: the folders above it, its name and its content.
type Written = (Vec<&'static str>, String, Zeroizing<Vec<u8>>);

/// Writes `.env`, `.mcp.json`, `.claude/commands/NAME.md` and `.claude/agents/NAME.md`, as far as the request has content
/// for them. Returns their paths in the workspace: commits and uploads leave them out.
///
/// # Errors
/// When the repository has a link or a folder in such a place, or a file cannot be written.
pub(crate) fn write(workspace: &Path, request: &TaskRequest) -> Result<Vec<String>, StepError> {
    let mut files: Vec<Written> = Vec::new();
    if !request.environment_secrets.is_empty() {
        let mut text = Zeroizing::new(Vec::new());
        for (name, value) in &request.environment_secrets {
            text.extend_from_slice(dotenv_line(name, value.expose()).as_bytes());
        }
        files.push((vec![], ".env".to_owned(), text));
    }
    if let Some(configuration) = &request.mcp_config {
        let text = mcp::text(configuration, &request.environment_secrets)
            .map_err(|_| StepError::final_one("mcpConfig cannot be written as JSON"))?;
        files.push((vec![], ".mcp.json".to_owned(), text));
    }
    for (folder, definitions) in [
        ("commands", &request.slash_commands),
        ("agents", &request.subagents),
    ] {
        for (name, file) in definitions {
            let text = Zeroizing::new(definitions::text(file).as_bytes().to_vec());
            files.push((vec![".claude", folder], format!("{name}.md"), text));
        }
    }
    let root = Folder::open(workspace)
        .map_err(|e| StepError::transient(format!("cannot open the workspace: {e}")))?;
    let mut paths = Vec::with_capacity(files.len());
    for (folders, name, text) in files {
        let path = folders
            .iter()
            .copied()
            .chain([name.as_str()])
            .collect::<Vec<_>>()
            .join("/");
        write_one(&root, &folders, &name, &text).map_err(|error| problem(&path, &error))?;
        paths.push(path);
    }
    hide(&root, &paths).map_err(|error| problem(".git/info/exclude", &error))?;
    Ok(paths)
}

/// Keeps the files out of what Claude sees as changes of a repository, and out of its own commits.
fn hide(root: &Folder, paths: &[String]) -> io::Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let Ok(git) = root.enter(OsStr::new(".git")) else {
        return Ok(());
    };
    let lines = paths.iter().flat_map(|path| ["/", path.as_str(), "\n"]);
    let lines: String = lines.collect();
    git.enter_or_create("info")?
        .replace("exclude", lines.as_bytes())
}

fn write_one(root: &Folder, folders: &[&str], name: &str, text: &[u8]) -> io::Result<()> {
    let mut inner: Option<Folder> = None;
    for folder in folders {
        inner = Some(inner.as_ref().unwrap_or(root).enter_or_create(folder)?);
    }
    inner.as_ref().unwrap_or(root).replace(name, text)
}

fn problem(path: &str, error: &io::Error) -> StepError {
    use rustix::io::Errno;
    let code = Errno::from_io_error(error);
    if matches!(
        code,
        Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::PERM)
    ) {
        return StepError::final_one(format!(
            "cannot write {path}: the repository has a link, a file or a folder in its place. Remove it from the repository"
        ));
    }
    StepError::transient(format!("cannot write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use serde_json::json;

    use super::*;

    fn request() -> TaskRequest {
        TaskRequest::from_value(json!({
            "prompt": "p", "anthropicApiKey": "k",
            "environmentSecrets": {"TOKEN": "s$cret"},
            "mcpConfig": {"mcpServers": {"a": {"env": {"T": "${TOKEN}"}}}},
            "slashCommands": {"fix": {"frontmatter": {"description": "d"}, "content": "Fix"}},
            "subagents": {"critic": {"frontmatter": {}, "content": "Judge"}},
        }))
        .unwrap()
    }

    #[test]
    fn writes_all_files_and_tells_their_paths() {
        let workspace = tempfile::tempdir().unwrap();
        let paths = write(workspace.path(), &request()).unwrap();
        assert_eq!(
            paths,
            [
                ".env",
                ".mcp.json",
                ".claude/commands/fix.md",
                ".claude/agents/critic.md"
            ]
        );
        let read = |path: &str| fs::read_to_string(workspace.path().join(path)).unwrap();
        assert_eq!(read(".env"), "TOKEN=\"s\\$cret\"\n");
        assert!(read(".mcp.json").contains("\"T\": \"s$cret\""));
        assert_eq!(read(&paths[2]), "---\ndescription: d\n---\n\nFix\n");
        for path in &paths {
            let mode = fs::metadata(workspace.path().join(path))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
        // Another attempt writes them again, and hides them from git.
        fs::create_dir(workspace.path().join(".git")).unwrap();
        assert_eq!(write(workspace.path(), &request()).unwrap(), paths);
        assert_eq!(
            read(".git/info/exclude"),
            "/.env\n/.mcp.json\n/.claude/commands/fix.md\n/.claude/agents/critic.md\n"
        );
    }

    #[test]
    fn links_of_a_repository_lead_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        fs::write(&target, "kept").unwrap();
        let workspace = tempfile::tempdir().unwrap();
        symlink(&target, workspace.path().join(".env")).unwrap();
        symlink("/no/such/file", workspace.path().join(".mcp.json")).unwrap();
        write(workspace.path(), &request()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        assert!(
            fs::symlink_metadata(workspace.path().join(".env"))
                .unwrap()
                .is_file()
        );

        for (place, what) in [(".claude", "folder"), (".claude/commands", "folder in it")] {
            let workspace = tempfile::tempdir().unwrap();
            let path = workspace.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(outside.path(), &path).unwrap();
            let error = write(workspace.path(), &request()).unwrap_err();
            assert!(
                !error.is_transient() && error.to_string().contains(".claude"),
                "{what}: {error}"
            );
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);

        let workspace = tempfile::tempdir().unwrap();
        fs::create_dir(workspace.path().join(".env")).unwrap();
        let error = write(workspace.path(), &request()).unwrap_err();
        assert!(error.to_string().contains(".env"), "{error}");
    }
}
