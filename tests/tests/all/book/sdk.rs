//! The crates that documents tell a worker to depend on.

use super::{blocks::blocks, documents::document};

#[test]
fn documents_name_the_versions_of_the_sdk_that_are_tested() {
    let manifest = document("Cargo.toml").text;
    let tested: Vec<&str> = manifest
        .lines()
        .filter(|line| line.starts_with("temporalio-"))
        .collect();
    assert!(tested.len() > 3, "hardly any crate of the SDK: {tested:?}");
    for path in ["README.md", "docs/worker.md"] {
        let text = document(path).text;
        let blocks = blocks(&text);
        let shown = blocks
            .iter()
            .find(|block| block.lines.first() == Some(&"[dependencies]"));
        let shown = &shown.expect("a block of dependencies").lines;
        for line in &tested {
            assert!(shown.contains(line), "{path} does not show `{line}`");
        }
    }
}
