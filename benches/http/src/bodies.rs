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
            "data in escaped slashes",
            wrap(&format!(r#"{{"data":"{}"}}"#, r"\/".repeat(room / 8 * 4))),
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

/// A body for a namespace that compresses or decompresses.
pub(crate) struct Compressed {
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) text: String,
}

/// Words in any order, as much as the codec server takes: what the high levels of zstd take longest for.
pub(crate) fn words(longest: usize) -> Compressed {
    /// Three letters each, in base64.
    const WORDS: [&str; 8] = [
        "dGhl", "Y2F0", "c2F3", "b25l", "YmFk", "ZG9n", "YW5k", "cmFu",
    ];
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 61
    };
    let count = longest / 4 - 32;
    let data: String = (0..count)
        .map(|_| {
            let word = usize::try_from(next()).unwrap_or_default();
            WORDS.get(word).copied().unwrap_or("dGhl")
        })
        .collect();
    let payload = format!(r#"{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":"{data}"}}"#);
    Compressed {
        name: "words in any order, compressed at level 19",
        namespace: "compressing",
        operation: "encode",
        text: format!(r#"{{"payloads":[{payload}]}}"#),
    }
}

/// Bodies of compressed payloads that become very large.
pub(crate) fn bombs() -> [Compressed; 3] {
    /// Made by Python's `zlib`: one member of gzip, which holds a payload with such a member. The inner member holds 16 MiB: an
    /// unknown field of a payload.
    const UNKNOWN_FIELD: &str = "H4sIAAAAAAACA+3avQ7BUADF8duW5KYWmoiFIDFKxEQiwkMwkYivNHdQYiORDkbv4C08gInJA9TiAWoxWCu3D2Fo/r/pzGc8OXbBlktvvl4oz3UyM+VNt7uGu1cb5+GXT1JophVem4YQ0qr0OqPDrW6Og5IAAAAAAAAJd+62s3H4+KvUEAAAAAAAJF3+++rHW8A9uuQG9AEAAAAAQOIFR8vUW0A1mrRq/CQAAAAAAPiLYvr5DnUwfiHTHKbqPwAA";
    /// The inner member holds 16 MiB and one byte, which is above the limit.
    const TOO_LARGE: &str = "H4sIAAAAAAACA+3aPQ4BQRiH8ZldxWQkyDYKhb2BViIKIWoNrayPbKZZIlHQ2ESpcQaJeq9A5wbiDqJQi2UdQjF5ftW/fssnry5rNY3Gs4mJQi8/MlGwWNXCtZl7l011p0TGce9nKb8j3r+Th9ICAAAAAABYLr5t3SwGCD+9dnt9AAAAAABgu6BYyP2iwGtYaXEOAAAAAACsd2zW/awFlJ7psu3wKAEAAAAAwB+cBodG0pFCyA9Hq+1+5D8AAA==";
    /// The third of three members has 600,000 empty blocks, each with a table of codes: 7 MiB become nothing.
    const EMPTY_BLOCKS: &str = "H4sIAAAAAAACA+3CzSuDcQDA8R87eEwuS0bUblqtUJ6ipOzgpIajFjWPWY/pmZcTmo2e1mpekkayGyUHi4stO7HbHB4OFNpFyUvPgVyUMvkblNP308dqt0p+TQmNqlrAVjWiar7p2ZbAnDppe9kvcyQk8avcYhZylef9ovvqqaL6eF1ekk4XXc/Ob8kdP/N0Bhvap/SOqJLVV/qWgylv8WFvV75N7uRPnB8TR82F63fZMHqSXUpxe3jjsia31tuWyTpiC1+ZhBGub4q8pecPx29M16qvLkaSJEmSJEmSJEmSJEmSJEmSJP/153268U6IaKvIm6WtAd0y5h0a3PSTJEmSJEmSJEmSJEmS/POLlDFT+2ge2F9LIfEDaSPqJwZUAAA=";

    let body = |name, data: &str| {
        let payload =
            format!(r#"{{"metadata":{{"encoding":"YmluYXJ5L2d6aXA="}},"data":"{data}"}}"#);
        let payloads = vec![payload; MOST_PAYLOADS].join(",");
        Compressed {
            name,
            namespace: "decompressing",
            operation: "decode",
            text: format!(r#"{{"payloads":[{payloads}]}}"#),
        }
    };
    [
        body("1,000 times 16 MiB that become nothing", UNKNOWN_FIELD),
        body("1,000 times more than 16 MiB", TOO_LARGE),
        body("1,000 times 7 MiB of empty blocks", EMPTY_BLOCKS),
    ]
}

/// The payload of an answer, 1,000 times.
pub(crate) fn repeated(answer: &str) -> Option<Compressed> {
    let payload = answer
        .trim_end()
        .strip_prefix(r#"{"payloads":["#)?
        .strip_suffix("]}")?;
    let payloads = vec![payload; MOST_PAYLOADS].join(",");
    Some(Compressed {
        name: "1,000 envelopes of 6 MiB of spaces",
        namespace: "compressing",
        operation: "decode",
        text: format!(r#"{{"payloads":[{payloads}]}}"#),
    })
}

fn entries(count: usize) -> String {
    let entry = |number: usize| format!(r#""{number}":"""#);
    (0..count).map(entry).collect::<Vec<_>>().join(",")
}
