//! The search attributes of a task. They hold its status and the host of its repository, and nothing else, because Temporal
//! stores them unencrypted.

use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_sdk::WorkflowContext;
use url::Url;

use super::ClaudeTask;
use crate::worker::search_attributes::{REPOSITORY_HOST, STATUS};

const STATUS_KEY: SearchAttributeKey<String> = SearchAttributeKey::keyword(STATUS);
const HOST_KEY: SearchAttributeKey<String> = SearchAttributeKey::keyword(REPOSITORY_HOST);

/// Tells that a task runs.
pub(super) fn running(ctx: &WorkflowContext<ClaudeTask>, repository: Option<&str>) {
    let mut updates = vec![STATUS_KEY.value_set("running".to_owned())];
    updates.extend(
        repository
            .and_then(host)
            .map(|host| HOST_KEY.value_set(host)),
    );
    ctx.upsert_search_attributes(updates);
}

/// Tells how a task ended.
pub(super) fn ended(ctx: &WorkflowContext<ClaudeTask>, status: &str) {
    ctx.upsert_search_attributes([STATUS_KEY.value_set(status.to_owned())]);
}

/// The host of a repository's URL, or of `USER@HOST:PATH`.
fn host(repository: &str) -> Option<String> {
    if repository.contains("://") {
        let url: Url = repository.parse().ok()?;
        return url.host_str().map(str::to_owned);
    }
    let host = repository.split_once(':')?.0;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_told() {
        for (repository, expected) in [
            (
                "https://user:pass@git.example/secret/path",
                Some("git.example"),
            ),
            ("git@git.example:secret/path.git", Some("git.example")),
            ("ssh://git@git.example:2222/x", Some("git.example")),
            ("file:///srv/x", None),
            ("nothing", None),
        ] {
            assert_eq!(host(repository).as_deref(), expected, "{repository}");
        }
    }
}
