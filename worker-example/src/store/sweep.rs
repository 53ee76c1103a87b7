//! Removes what is not needed any more: old sessions, and the secrets of submissions that were not finished.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};

use super::{error::StoreError, objects::Objects, secrets, sessions};
use crate::task::TaskId;

/// Removes the logs and artefacts of tasks that wrote nothing for `age`. Returns of how many tasks.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn expire_sessions(objects: &Objects, age: Duration) -> Result<usize, StoreError> {
    let mut tasks: HashMap<String, DateTime<Utc>> = HashMap::new();
    objects
        .each(sessions::FOLDER, |object| {
            if let Some(task) = folder_of(&object.name) {
                let newest = tasks.entry(task.to_owned()).or_insert(object.modified);
                *newest = (*newest).max(object.modified);
            }
        })
        .await?;
    tasks.retain(|_, newest| is_older(*newest, age));
    for task in tasks.keys() {
        let mut old = Vec::new();
        let folder = format!("{}/{task}", sessions::FOLDER);
        objects.each(&folder, |object| old.push(object)).await?;
        for object in &old {
            objects.remove(object).await?;
        }
    }
    Ok(tasks.len())
}

/// The tasks of a namespace whose secrets are at least this old. The caller asks Temporal whether they still run.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn unneeded_secrets(
    objects: &Objects,
    namespace: &str,
    age: Duration,
) -> Result<Vec<TaskId>, StoreError> {
    let mut tasks = Vec::new();
    let folder = secrets::folder(namespace);
    objects
        .each(&folder, |object| {
            let task = object.name.rsplit('/').next().map(str::parse);
            if let (Some(Ok(task)), true) = (task, is_older(object.modified, age)) {
                tasks.push(task);
            }
        })
        .await?;
    Ok(tasks)
}

fn folder_of(name: &str) -> Option<&str> {
    name.split('/').nth(1)
}

fn is_older(time: DateTime<Utc>, age: Duration) -> bool {
    let since = Utc::now().signed_duration_since(time);
    since.to_std().is_ok_and(|since| since >= age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_objects_are_found_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().to_str().unwrap().parse().unwrap();
        let objects = Objects::open(&location).unwrap();
        for name in [
            "sessions/old/000-20260101-000000.jsonl",
            "sessions/old/metadata.json",
            "sessions/young/000-20260101-000000.jsonl",
            "sessions/old/uploads/a~b %.txt",
            "encrypted-payloads/one/old",
            "encrypted-payloads/two/other",
        ] {
            objects.put(name, vec![1]).await.unwrap();
        }
        let day = Duration::from_hours(24);
        let session = folder.path().join("sessions/old");
        for folder in [&session, &session.join("uploads")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let file = entry.unwrap().path();
                if file.is_file() {
                    let long_ago = std::time::SystemTime::now() - 2 * day;
                    let file = std::fs::File::options().write(true).open(file).unwrap();
                    file.set_modified(long_ago).unwrap();
                }
            }
        }
        assert_eq!(expire_sessions(&objects, day).await.unwrap(), 1);
        assert_eq!(expire_sessions(&objects, day).await.unwrap(), 0);
        let left = objects.list(sessions::FOLDER).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(unneeded_secrets(&objects, "one", day).await.unwrap(), []);
        for (namespace, task) in [("one", "old"), ("two", "other")] {
            let all = unneeded_secrets(&objects, namespace, Duration::ZERO).await;
            assert_eq!(all.unwrap(), [task.parse().unwrap()]);
        }
        let none = unneeded_secrets(&objects, "on", Duration::ZERO).await;
        assert_eq!(none.unwrap(), []);
    }
}
