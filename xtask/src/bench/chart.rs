//! Bar charts for the book, as SVG.

use std::{fmt::Write as _, fs};

use anyhow::Context;
use serde_json::Value;

use crate::{step, workspace::Workspace};

/// One bar: its label, and its length.
#[derive(Debug, PartialEq)]
struct Bar {
    label: String,
    value: f64,
    is_ours: bool,
}

/// Writes the charts of one benchmark to docs/images. Only the codec server has some.
pub(super) fn write(workspace: &Workspace, name: &str, numbers: &Value) -> anyhow::Result<()> {
    if name != "server" {
        return Ok(());
    }
    for operation in ["decode", "encode"] {
        let bars = bars(numbers, operation);
        let title = format!("Processor time for each {operation} request, as a multiple of ours");
        let file = workspace
            .root()
            .join(format!("docs/images/bench-{operation}.svg"));
        fs::write(&file, svg(&title, &bars))
            .with_context(|| format!("cannot write {}", file.display()))?;
        step::note(&format!("chart: {}", file.display()));
    }
    Ok(())
}

fn bars(numbers: &Value, operation: &str) -> Vec<Bar> {
    let text = |row: &Value, name: &str| {
        let value = row.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let rows = numbers.as_array().into_iter().flatten();
    let rows = rows.filter(|row| text(row, "operation") == operation);
    let bar = |row: &Value| {
        let server = text(row, "server");
        Bar {
            label: format!("{}, {server}", text(row, "case")),
            value: row.get("ratio").and_then(Value::as_f64).unwrap_or_default(),
            is_ours: server == "codec-server",
        }
    };
    rows.map(bar).collect()
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
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
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
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            r#"<text x="10" y="{text}">{label}</text><rect x="{LABELS}" y="{y}" width="{length:.1}" height="16" fill="{colour}"/><text x="{end:.1}" y="{text}">{value:.1}</text>"#
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
        let bars = bars(&numbers, "decode");
        assert_eq!(bars.len(), 2);
        let svg = svg("Title", &bars);
        assert!(svg.contains(">1 × 1 KiB, go</text>") && svg.contains(">2.5</text>"));
        assert!(svg.ends_with("</svg>\n"));
    }
}
