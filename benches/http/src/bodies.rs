//! Bodies that are made to cost much.

/// The most payloads that the codec server takes by default.
const MOST_PAYLOADS: usize = 1000;

/// Bodies of at most `longest` bytes, and their names.
pub(crate) fn hostile(longest: usize) -> Vec<(&'static str, String)> {
    let wrap = |payload: &str| format!(r#"{{"payloads":[{payload}]}}"#);
    let room = longest - 64;
    let one = format!(r#"{{"metadata":{{{}}}}}"#, entries(64));
    let escaped = format!(r#"{{"m\u0065tadata":{{{}}}}}"#, entries(64));
    let many = |payload: &str, most: usize| {
        let count = most.min(room / (payload.len() + 1));
        wrap(&vec![payload; count].join(","))
    };
    // An entry has at most 12 bytes.
    let most_entries = room / 12;
    let nested = room / 2 - 16;
    vec![
        (
            "metadata of very many keys in one payload",
            wrap(&format!(r#"{{"metadata":{{{}}}}}"#, entries(most_entries))),
        ),
        (
            "1,000 payloads with 64 metadata keys each",
            many(&one, MOST_PAYLOADS),
        ),
        (
            "the same, with an escape in each",
            many(&escaped, MOST_PAYLOADS),
        ),
        (
            "one unknown field, nested",
            wrap(&format!(
                r#"{{"x":{}{}}}"#,
                "[".repeat(nested),
                "]".repeat(nested)
            )),
        ),
        (
            "one unknown field with very many names",
            wrap(&format!(r#"{{"x":{{{}}}}}"#, entries(most_entries))),
        ),
        (
            "data that are not base64 at their end",
            wrap(&format!(r#"{{"data":"{}!"}}"#, "A".repeat(room))),
        ),
        (
            "data in escapes",
            wrap(&format!(r#"{{"data":"{}"}}"#, r"\u0041".repeat(room / 6))),
        ),
        (
            "a long key",
            wrap(&format!(
                r#"{{"metadata":{{"{}":""}}}}"#,
                "k".repeat(room - 64)
            )),
        ),
        ("spaces", wrap(&" ".repeat(room))),
        ("empty payloads", many("{}", usize::MAX)),
        // These two are what clients send.
        (
            "one plain payload",
            wrap(&format!(
                r#"{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":"{}"}}"#,
                "QUFB".repeat(room / 4 - 16)
            )),
        ),
        (
            "1,000 plain payloads",
            many(
                &format!(
                    r#"{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":"{}"}}"#,
                    "QUFB".repeat(room / 4 / MOST_PAYLOADS - 20)
                ),
                MOST_PAYLOADS,
            ),
        ),
    ]
}

fn entries(count: usize) -> String {
    let entry = |number: usize| format!(r#""{number}":"""#);
    (0..count).map(entry).collect::<Vec<_>>().join(",")
}
