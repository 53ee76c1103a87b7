//! Texts of other languages: commands of a shell, strings of Terraform.

use std::{fmt::Write as _, path::Path};

/// A word of a POSIX shell's command line.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path as a word of a POSIX shell's command line.
#[must_use]
pub fn shell_path(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A command, an option a line.
#[must_use]
pub fn shell_command(words: &[String]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let is_option = word.starts_with("--");
        text.push_str(match index {
            0 => "",
            _ if is_option => " \\\n  ",
            _ => " ",
        });
        text.push_str(word);
    }
    text.push('\n');
    text
}

/// A string of Terraform's language.
#[must_use]
pub fn terraform_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // `${` and `%{` begin templates.
            '$' | '%' => quoted.extend([character, character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!(shell_word("a-b=c"), "a-b=c");
        assert_eq!(shell_word("it's $x"), r"'it'\''s $x'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_path(Path::new("/my keys")), "'/my keys'");
        let words = ["a", "b", "--c=d"].map(str::to_owned);
        assert_eq!(shell_command(&words), "a b \\\n  --c=d\n");
    }

    #[test]
    fn terraform_reads_no_template_in_a_string() {
        assert_eq!(terraform_string("a\"\\b"), r#""a\"\\b""#);
        assert_eq!(terraform_string("${x}\n"), "\"$${x}\\u000A\"");
    }
}
