//! Lines of `.env`.

use zeroize::Zeroizing;

/// A line `NAME="value"`, escaped as common readers of `.env` files expect it.
pub(super) fn dotenv_line(name: &str, value: &str) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(name.len() + value.len() * 2 + 4));
    line.push_str(name);
    line.push_str("=\"");
    for c in value.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '"' | '\\' | '$' | '`' => {
                line.push('\\');
                line.push(c);
            }
            c => line.push(c),
        }
    }
    line.push_str("\"\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_would_replace_is_escaped() {
        assert_eq!(
            dotenv_line("A", "x \"$y\"\n").as_str(),
            "A=\"x \\\"\\$y\\\"\\n\"\n"
        );
    }
}
