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
    let listed = objects.list(sessions::FOLDER).await?;
    let mut tasks: HashMap<&str, DateTime<Utc>> = HashMap::new();
    for object in &listed {
        if let Some(task) = folder_of(&object.name) {
            let newest = tasks.entry(task).or_insert(object.modified);
            *newest = (*newest).max(object.modified);
        }
    }
    let is_old = |task: &str| tasks.get(task).is_some_and(|newest| is_older(*newest, age));
    for object in &listed {
        if folder_of(&object.name).is_some_and(is_old) {
            objects.delete(&object.name).await?;
        }
    }
    let is_expired = |newest: &&DateTime<Utc>| is_older(**newest, age);
    Ok(tasks.values().filter(is_expired).count())
}

/// The tasks whose secrets are at least this old. The caller asks Temporal whether they still run.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn unneeded_secrets(
    objects: &Objects,
    age: Duration,
) -> Result<Vec<TaskId>, StoreError> {
    let listed = objects.list(secrets::FOLDER).await?;
    let old = listed
        .iter()
        .filter(|object| is_older(object.modified, age));
    Ok(old
        .filter_map(|object| object.name.rsplit('/').next()?.parse().ok())
        .collect())
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
            "encrypted-payloads/old",
        ] {
            objects.put(name, vec![1]).await.unwrap();
        }
        let day = Duration::from_hours(24);
        for name in ["000-20260101-000000.jsonl", "metadata.json"] {
            let file = folder.path().join("sessions/old").join(name);
            let long_ago = std::time::SystemTime::now() - 2 * day;
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        assert_eq!(expire_sessions(&objects, day).await.unwrap(), 1);
        assert_eq!(expire_sessions(&objects, day).await.unwrap(), 0);
        let left = objects.list(sessions::FOLDER).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(unneeded_secrets(&objects, day).await.unwrap(), []);
        let all = unneeded_secrets(&objects, Duration::ZERO).await.unwrap();
        assert_eq!(all, ["old".parse().unwrap()]);
    }
}
