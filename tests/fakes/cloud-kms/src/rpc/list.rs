use serde_json::Value;

use crate::{
    error::{ApiError, Code},
    model::Object,
    route::Route,
};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// One page of a list. The token of a page is the position at which it starts.
pub(super) fn page<T>(
    route: &Route,
    field: &str,
    items: &[T],
    encode: impl Fn(&T) -> Value,
) -> Result<Value, ApiError> {
    if ["filter", "orderBy"]
        .iter()
        .any(|name| route.parameter(name).is_some())
    {
        return Err(ApiError::new(
            Code::Unimplemented,
            "The emulator neither filters nor orders lists.",
        ));
    }
    let start = match route.parameter("pageToken") {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::invalid("The page token is not valid."))?,
    };
    let size = match route.parameter("pageSize").map(str::parse) {
        None | Some(Ok(0)) => DEFAULT_PAGE,
        Some(Ok(size)) => MAX_PAGE.min(size),
        Some(Err(_)) => return Err(ApiError::field("page_size", "it is not a number")),
    };
    let page: Vec<Value> = items.iter().skip(start).take(size).map(encode).collect();
    let end = start + page.len();

    let mut answer = Object::new();
    if !page.is_empty() {
        answer.insert(field.to_owned(), page.into());
    }
    if end < items.len() {
        answer.insert("nextPageToken".to_owned(), end.to_string().into());
    }
    if !items.is_empty() {
        answer.insert("totalSize".to_owned(), items.len().into());
    }
    Ok(answer.into())
}
