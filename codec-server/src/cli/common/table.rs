//! Answers for people: columns, and pairs of names and values.

use std::fmt::Write as _;

use temporal_kms_codec_service::terminal;

/// Columns for people. What a service answered cannot steer the terminal.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let header = header.map(str::to_owned);
    let lines = || std::iter::once(&header).chain(rows);
    let mut widths = [0; N];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines() {
        let mut shown = String::new();
        for (width, cell) in widths.iter().zip(line) {
            let _ = write!(shown, "{:width$}  ", terminal::line(cell));
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// Names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        let _ = writeln!(text, "{name:width$}  {}", terminal::line(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_control_characters_are_taken_out() {
        let rows = [
            ["a".to_owned(), "x\u{1b}[2J\u{202e}y".to_owned()],
            ["long".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["KEY", "B"], &rows),
            "KEY   B\na     x\u{fffd}[2J\u{fffd}y\nlong\n"
        );
    }
}
