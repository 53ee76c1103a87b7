//! The threat table of `SECURITY.md` and the faults of the book: every row names tests that exist, or says why there is
//! none.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeMap, fs, path::Path};

/// What a row without a test must begin its last cell with.
const NO_TEST: &str = "No test: ";

#[test]
fn every_row_names_tests_that_exist_or_says_why_there_is_none() {
    let wrong = wrong_rows("SECURITY.md", 4);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_of_the_book_has_its_test() {
    let wrong = wrong_rows("docs/operations/faults.md", 6);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the numbered rows of a document. The last of their cells names tests.
fn wrong_rows(document: &str, count: usize) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let text = fs::read_to_string(root.join(document)).expect("the document is readable");
    let rows: Vec<Vec<&str>> = text.lines().filter_map(row).collect();
    assert!(!rows.is_empty(), "{document} has no table");

    let mut files = BTreeMap::new();
    let mut wrong = Vec::new();
    for (position, cells) in rows.iter().enumerate() {
        if cells.len() != count {
            wrong.push(format!("{cells:?}: a row has {count} cells"));
        }
        let (Some(&number), Some(&tests)) = (cells.first(), cells.last()) else {
            continue;
        };
        if number != (position + 1).to_string() || cells.iter().any(|cell| cell.is_empty()) {
            wrong.push(format!(
                "row {number}: it is out of order or has an empty cell"
            ));
        }
        if let Some(reason) = tests.strip_prefix(NO_TEST) {
            if reason.len() < 10 {
                wrong.push(format!("row {number}: it does not say why it has no test"));
            }
            continue;
        }
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            wrong.push(format!("row {number}: it names no test"));
        }
        for test in named {
            let Some((file, name)) = test.split_once("::") else {
                wrong.push(format!("row {number}: `{test}` is not FILE::TEST"));
                continue;
            };
            let source = files
                .entry(file)
                .or_insert_with(|| fs::read_to_string(root.join(file)).unwrap_or_default());
            if !has_test(source, name) {
                wrong.push(format!("row {number}: `{test}` does not exist"));
            }
        }
    }
    wrong
}

/// The cells of a line that is a row of the table: its first cell is a number.
fn row(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<_> = inside.split(" | ").map(str::trim).collect();
    cells
        .first()
        .is_some_and(|first| first.parse::<u32>().is_ok())
        .then_some(cells)
}

/// Whether a source file has a test of this name: a function below a test attribute, or a case that a macro makes a test
/// of each provider.
fn has_test(source: &str, name: &str) -> bool {
    let is_case = source.contains(&format!("pub async fn {name}(suite: &Suite)"));
    let has_no_harness = source.contains("fn main()");
    let mut attribute_above = false;
    for line in source.lines().map(str::trim_start) {
        let declares = line.contains(&format!("fn {name}("));
        if declares && (attribute_above || is_case || has_no_harness) {
            return true;
        }
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            attribute_above = true;
        } else if line.starts_with("fn ") || line.starts_with("async fn ") {
            attribute_above = false;
        }
    }
    false
}

#[test]
fn only_functions_below_a_test_attribute_count() {
    let source = "fn helper() {}\n#[test]\n#[ignore]\nfn checks() {}\nasync fn other() {}\n";
    assert!(has_test(source, "checks"));
    assert!(!has_test(source, "helper") && !has_test(source, "other") && !has_test(source, "none"));
}
