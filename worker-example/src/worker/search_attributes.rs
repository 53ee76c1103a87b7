//! Whether the namespace has the search attributes of tasks. Without them, tasks have no attributes: a workflow that sets
//! an attribute which does not exist cannot go on.

use temporalio_client::{
    Client, NamespacedClient as _, grpc::OperatorService, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType, operatorservice::v1::ListSearchAttributesRequest,
};

/// The status of a task: `running`, `completed`, `failed` or `cancelled`.
pub(super) const STATUS: &str = "ClaudeTaskStatus";
/// The host of the task's repository.
pub(super) const REPOSITORY_HOST: &str = "ClaudeTaskRepositoryHost";

/// Whether the namespace has both attributes as keywords. `false` if Temporal does not say.
pub(super) async fn exist(client: &Client) -> bool {
    let request = ListSearchAttributesRequest {
        namespace: client.namespace(),
    };
    let mut client = client.clone();
    let answer = OperatorService::list_search_attributes(&mut client, request.into_request()).await;
    let Ok(answer) = answer else {
        return false;
    };
    let attributes = answer.into_inner().custom_attributes;
    let keyword = i32::from(IndexedValueType::Keyword);
    [STATUS, REPOSITORY_HOST]
        .iter()
        .all(|name| attributes.get(*name) == Some(&keyword))
}
