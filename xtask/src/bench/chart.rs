//! Bar charts for the book, as SVG.

use std::{fmt::Write as _, fs};

use anyhow::Context;
use serde_json::Value;

use super::table::find;
use crate::{step, workspace::Workspace};

/// One bar: its label, and its length.
#[derive(Debug, PartialEq)]
struct Bar {
    label: String,
    value: f64,
    is_ours: bool,
}

/// A chart: the name of its file, and what is in it.
struct Chart {
    name: &'static str,
    title: &'static str,
    bars: Vec<Bar>,
}

/// Writes the charts of one benchmark to docs/images, if it has some.
pub(super) fn write(workspace: &Workspace, name: &str, numbers: &Value) -> anyhow::Result<()> {
    for chart in charts(name, numbers) {
        let file = workspace
            .root()
            .join(format!("docs/images/bench-{}.svg", chart.name));
        fs::write(&file, svg(chart.title, &chart.bars))
            .with_context(|| format!("cannot write {}", file.display()))?;
        step::note(&format!("chart: {}", file.display()));
    }
    Ok(())
}

fn charts(name: &str, numbers: &Value) -> Vec<Chart> {
    let chart = |name, title, bars| Chart { name, title, bars };
    match name {
        "server" => vec![
            chart(
                "decode",
                "Decoding: processor time of a request, as a multiple of ours",
                servers(numbers, "decode"),
            ),
            chart(
                "encode",
                "Encoding: processor time of a request, as a multiple of ours",
                servers(numbers, "encode"),
            ),
        ],
        "in-process" => vec![chart(
            "in-process",
            "Speed of the library, in percent of the raw AEAD",
            shares(numbers),
        )],
        "scaling" => vec![chart(
            "scaling",
            "Time for each item, as a multiple of the first row of its series",
            growth(numbers),
        )],
        _ => Vec::new(),
    }
}

fn text(row: &Value, name: &str) -> String {
    let value = find(row, name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn number(row: &Value, name: &str) -> f64 {
    let value = find(row, name).and_then(Value::as_f64);
    value.unwrap_or_default()
}

fn rows(numbers: &Value) -> impl Iterator<Item = &Value> {
    numbers.as_array().into_iter().flatten()
}

fn servers(numbers: &Value, operation: &str) -> Vec<Bar> {
    let rows = rows(numbers).filter(|row| text(row, "operation") == operation);
    let bar = |row: &Value| {
        let server = text(row, "server");
        Bar {
            label: format!("{}, {server}", text(row, "case")),
            value: number(row, "ratio"),
            is_ours: server == "codec-server",
        }
    };
    rows.map(bar).collect()
}

/// How fast payloads are encoded and decoded beside the raw AEAD.
fn shares(numbers: &Value) -> Vec<Bar> {
    let bars = rows(numbers).flat_map(|row| {
        let case = format!("{} × {} bytes", number(row, "batch"), number(row, "size"));
        let bar = |operation: &str, raw: &str, ours: &str| Bar {
            label: format!("{operation} {case}"),
            value: 100.0 * number(row, raw) / number(row, ours).max(f64::MIN_POSITIVE),
            is_ours: true,
        };
        [
            bar("encode", "raw_seal_ns", "shared.encode_ns"),
            bar("decode", "raw_open_ns", "shared.decode_ns"),
        ]
    });
    bars.collect()
}

/// How the cost of one grows with their number, in each series.
fn growth(numbers: &Value) -> Vec<Bar> {
    let mut first = (String::new(), 0.0);
    let bars = rows(numbers).map(|row| {
        let (series, cost) = (text(row, "series"), number(row, "ns_each"));
        if first.0 != series {
            first = (series.clone(), cost.max(f64::MIN_POSITIVE));
        }
        Bar {
            label: format!("{series}: {}", number(row, "count")),
            value: cost / first.1,
            is_ours: true,
        }
    });
    bars.collect()
}

fn svg(title: &str, bars: &[Bar]) -> String {
    const WIDTH: usize = 760;
    const LABELS: f64 = 250.0;
    const LONGEST: f64 = 430.0;
    const ROW: usize = 22;
    const TOP: usize = 40;

    let most = bars.iter().map(|bar| bar.value).fold(1.0, f64::max);
    let height = TOP + bars.len() * ROW + 10;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<title>{title}</title>
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="10" y="22" font-size="15" font-weight="bold">{title}</text>
"##
    );
    let mut y = TOP;
    for bar in bars {
        let length = LONGEST * bar.value / most;
        let colour = if bar.is_ours { "#2a7f62" } else { "#9aa5b1" };
        let (text, end) = (y + 14, LABELS + length + 6.0);
        let (label, value) = (&bar.label, bar.value);
        let digits = if value < 1.0 { 3 } else { 1 };
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            r#"<text x="10" y="{text}">{label}</text><rect x="{LABELS}" y="{y}" width="{length:.1}" height="16" fill="{colour}"/><text x="{end:.1}" y="{text}">{value:.digits$}</text>"#
        );
        y += ROW;
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_server_has_a_bar() {
        let numbers = json!([
            { "operation": "decode", "case": "1 × 1 KiB", "server": "codec-server", "ratio": 1.0 },
            { "operation": "decode", "case": "1 × 1 KiB", "server": "go", "ratio": 2.5 },
            { "operation": "encode", "case": "1 × 1 KiB", "server": "go", "ratio": 2.5 },
        ]);
        let charts = charts("server", &numbers);
        let [decode, encode] = charts.as_slice() else {
            panic!("{} charts", charts.len());
        };
        assert_eq!((decode.bars.len(), encode.bars.len()), (2, 1));
        let svg = svg(decode.title, &decode.bars);
        assert!(svg.contains(">1 × 1 KiB, go</text>") && svg.contains(">2.5</text>"));
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn shares_are_of_the_raw_aead() {
        let numbers = json!([{
            "size": 1024, "batch": 100, "raw_seal_ns": 200.0, "raw_open_ns": 300.0,
            "shared": { "encode_ns": 800.0, "decode_ns": 400.0 },
        }]);
        let bars = shares(&numbers);
        let shown: Vec<_> = bars.iter().map(|bar| (&*bar.label, bar.value)).collect();
        assert_eq!(
            shown,
            [
                ("encode 100 × 1024 bytes", 25.0),
                ("decode 100 × 1024 bytes", 75.0)
            ]
        );
    }

    #[test]
    fn each_series_begins_anew() {
        let row =
            |series, count, cost: f64| json!({ "series": series, "count": count, "ns_each": cost });
        let numbers = json!([
            row("data keys", 1, 10.0),
            row("data keys", 100, 15.0),
            row("namespaces", 1, 40.0),
        ]);
        let bars = growth(&numbers);
        let shown: Vec<_> = bars.iter().map(|bar| (&*bar.label, bar.value)).collect();
        assert_eq!(
            shown,
            [
                ("data keys: 1", 1.0),
                ("data keys: 100", 1.5),
                ("namespaces: 1", 1.0)
            ]
        );
    }
}
