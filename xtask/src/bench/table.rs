//! Numbers as tables for people.

use serde_json::Value;

use crate::step;

/// A column: its title, the name of its number, and the digits after the point. `None` for text.
pub(crate) type Column = (&'static str, &'static str, Option<usize>);

const SERVER: &[Column] = &[
    ("", "operation", None),
    ("case", "case", None),
    ("server", "server", None),
    ("CPU µs", "cpu_us", Some(1)),
    ("of ours", "ratio", Some(2)),
    ("goal", "goal", Some(1)),
    ("met", "is_met", None),
    ("requests/s", "per_second", Some(0)),
    ("p50 ms", "p50_ms", Some(2)),
    ("p99 ms", "p99_ms", Some(2)),
    ("peak MiB", "peak_mib", Some(0)),
];
const LAYERS: &[Column] = &[
    ("", "operation", None),
    ("case", "case", None),
    ("layers", "server", None),
    ("CPU µs", "cpu_us", Some(1)),
    ("of bare", "ratio", Some(3)),
    ("requests/s", "per_second", Some(0)),
    ("p50 ms", "p50_ms", Some(2)),
    ("p99 ms", "p99_ms", Some(2)),
];
const GUARDS: &[Column] = &[
    ("", "operation", None),
    ("case", "case", None),
    ("with", "server", None),
    ("CPU µs", "cpu_us", Some(1)),
    ("added µs", "added_us", Some(1)),
    ("of plain", "ratio", Some(3)),
    ("requests/s", "per_second", Some(0)),
    ("p50 ms", "p50_ms", Some(2)),
    ("p99 ms", "p99_ms", Some(2)),
];
const IN_PROCESS: &[Column] = &[
    ("bytes", "size", Some(0)),
    ("batch", "batch", Some(0)),
    ("raw seal ns", "raw_seal_ns", Some(0)),
    ("encode ns", "encode_ns", Some(0)),
    ("allocations", "encode_allocations", Some(1)),
    ("raw open ns", "raw_open_ns", Some(0)),
    ("decode ns", "decode_ns", Some(0)),
    ("allocations", "decode_allocations", Some(1)),
    ("shared encode", "shared.encode_ns", Some(0)),
    ("allocations", "shared.encode_allocations", Some(1)),
    ("shared decode", "shared.decode_ns", Some(0)),
    ("allocations", "shared.decode_allocations", Some(1)),
    ("SDK encode", "sdk.encode_ns", Some(0)),
    ("allocations", "sdk.encode_allocations", Some(1)),
    ("SDK decode", "sdk.decode_ns", Some(0)),
    ("allocations", "sdk.decode_allocations", Some(1)),
];
const ECONOMY: &[Column] = &[
    ("payloads", "payloads", Some(0)),
    ("seconds", "seconds", Some(0)),
    ("data keys", "data_keys", Some(0)),
    ("calls", "calls", Some(0)),
    ("saved %", "saved_percent", Some(4)),
    ("dollars", "dollars", Some(5)),
    ("waited p99 µs", "waited_p99_us", Some(0)),
    ("most µs", "waited_most_us", Some(0)),
    ("batch p50 µs", "batch_p50_us", Some(1)),
    ("p99 µs", "batch_p99_us", Some(1)),
    ("first call ms", "first_call_ms", Some(0)),
];
const START: &[Column] = &[
    ("program", "program", None),
    ("start ms", "ready_ms", Some(1)),
    ("idle MiB", "idle_mib", Some(1)),
];
const WORKER: &[Column] = &[
    ("key", "key", None),
    ("workflows/s", "per_second", Some(0)),
    ("of none", "ratio", Some(2)),
];
const POINTS: &[Column] = &[
    ("series", "series", None),
    ("count", "count", Some(0)),
    ("ns each", "ns_each", Some(2)),
];
const POLLS: &[Column] = &[
    ("", "operation", None),
    ("body", "body", None),
    ("bytes", "bytes", Some(0)),
    ("status", "status", Some(0)),
    ("longest poll ms", "longest_poll_ms", Some(1)),
    ("all polls ms", "total_ms", Some(1)),
];

/// Prints the numbers of one benchmark.
pub(super) fn print(name: &str, numbers: &Value) {
    step::heading(name);
    match name {
        "server" => rows(SERVER, numbers),
        "layers" => rows(LAYERS, numbers),
        "guards" => rows(GUARDS, numbers),
        "in-process" => rows(IN_PROCESS, numbers),
        "economy" => rows(ECONOMY, numbers),
        "start" => rows(START, numbers),
        "worker" => rows(WORKER, numbers),
        "scaling" => rows(POINTS, numbers),
        "polls" => rows(POLLS, numbers),
        // A benchmark without a table has only its JSON.
        _ => anstream::println!("    {numbers}"),
    }
}

/// Prints the numbers of some rows.
pub(crate) fn rows(columns: &[Column], numbers: &Value) {
    for line in lines(columns, numbers) {
        anstream::println!("    {line}");
    }
}

/// The lines of a table. Text is on the left of its column, a number on the right. A column without any value is left
/// out.
fn lines(columns: &[Column], numbers: &Value) -> Vec<String> {
    let rows: &[Value] = numbers.as_array().map_or(&[], Vec::as_slice);
    let mut lines = vec![String::new(); rows.len() + 1];
    for (title, name, digits) in columns {
        let cells: Vec<String> = rows.iter().map(|row| cell(row, name, *digits)).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        let all = || std::iter::once(*title).chain(cells.iter().map(String::as_str));
        let width = all()
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default();
        for (line, cell) in lines.iter_mut().zip(all()) {
            let cell = match digits {
                Some(_) => format!("{cell:>width$}"),
                None => format!("{cell:<width$}"),
            };
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&cell);
        }
    }
    lines
}

fn cell(row: &Value, name: &str, digits: Option<usize>) -> String {
    let value = find(row, name);
    value.map(|value| number(value, digits)).unwrap_or_default()
}

/// The value of a row. A name with a point is inside another object.
pub(super) fn find<'r>(row: &'r Value, name: &str) -> Option<&'r Value> {
    name.split('.').try_fold(row, |value, part| value.get(part))
}

fn number(value: &Value, digits: Option<usize>) -> String {
    match (value, digits) {
        (Value::String(text), _) => text.clone(),
        (Value::Bool(flag), _) => if *flag { "yes" } else { "no" }.to_owned(),
        (Value::Number(number), Some(digits)) => match (number.as_u64(), number.as_f64()) {
            (None, Some(number)) => format!("{number:.digits$}"),
            _ => number.to_string(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_on_the_right_and_empty_columns_are_left_out() {
        let rows = json!([
            { "body": "short", "bytes": 8, "longest_poll_ms": 1.25 },
            { "body": "longer", "bytes": 1000, "longest_poll_ms": 10.0 },
        ]);
        let columns = [POLLS, &[("none", "sdk.none", Some(0))]].concat();
        assert_eq!(
            lines(&columns, &rows),
            [
                "body    bytes  longest poll ms",
                "short       8              1.2",
                "longer   1000             10.0",
            ]
        );
    }
}
