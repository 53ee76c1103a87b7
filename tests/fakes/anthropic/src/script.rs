//! The script of the API's answers, read from markers in the prompt.

use serde_json::Value;

/// The script in a prompt. Markers are in double brackets. The rest of the prompt is echoed.
///
/// | marker | meaning |
/// |---|---|
/// | `[[tool:NAME {…}]]` | use this tool with this input; several are used one after the other, one per turn |
/// | `[[slow]]` | begin to answer, then keep the stream open without ever finishing |
/// | `[[cut]]` | begin to answer, then cut the connection |
/// | `[[status:N]]` | answer with this HTTP status and an API error |
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The prompt without its markers.
    pub text: String,
    /// The tools to use, in order.
    pub tools: Vec<(String, Value)>,
    /// Never finish the last answer.
    pub slow: bool,
    /// Cut the connection within the last answer.
    pub cut: bool,
    /// Answer with this status instead.
    pub status: Option<u16>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An API error.
    Error(u16),
    /// A tool call.
    Tool {
        /// The tool.
        name: String,
        /// Its input.
        input: Value,
    },
    /// A text that begins and never ends.
    Endless(String),
    /// A text that begins, and whose connection is then cut.
    Cut(String),
    /// The last answer.
    Text(String),
}

impl Script {
    /// Reads the markers of a prompt. An invalid marker stays text.
    #[must_use]
    pub fn parse(prompt: &str) -> Self {
        let mut script = Self {
            text: String::new(),
            tools: Vec::new(),
            slow: false,
            cut: false,
            status: None,
        };
        let mut rest = prompt;
        while let Some((before, marker, after)) = next_marker(rest) {
            script.text.push_str(before);
            if !script.apply(marker) {
                script.text.push_str("[[");
                script.text.push_str(marker);
                script.text.push_str("]]");
            }
            rest = after;
        }
        script.text.push_str(rest);
        script.text = script.text.trim().to_owned();
        script
    }

    /// The answer to a request that carries this many tool results, `last_result` being the newest.
    #[must_use]
    pub fn step(&self, results: usize, last_result: Option<&str>) -> Step {
        if let Some(status) = self.status {
            return Step::Error(status);
        }
        if let Some((name, input)) = self.tools.get(results) {
            return Step::Tool {
                name: name.clone(),
                input: input.clone(),
            };
        }
        let mut text = format!("You asked: {}", self.text);
        if let Some(result) = last_result {
            text.push_str("\nThe tool answered: ");
            text.push_str(result);
        }
        match (self.slow, self.cut) {
            (true, _) => Step::Endless(text),
            (false, true) => Step::Cut(text),
            (false, false) => Step::Text(text),
        }
    }

    fn apply(&mut self, marker: &str) -> bool {
        match marker {
            "slow" => self.slow = true,
            "cut" => self.cut = true,
            _ => return self.apply_with_value(marker),
        }
        true
    }

    fn apply_with_value(&mut self, marker: &str) -> bool {
        if let Some(status) = marker.strip_prefix("status:").and_then(|n| n.parse().ok()) {
            self.status = Some(status);
            return true;
        }
        let Some((name, input)) = marker.strip_prefix("tool:").and_then(|t| t.split_once(' '))
        else {
            return false;
        };
        match serde_json::from_str(input) {
            Ok(input) => {
                self.tools.push((name.to_owned(), input));
                true
            }
            Err(_) => false,
        }
    }
}

fn next_marker(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("[[")?;
    let (marker, after) = rest.split_once("]]")?;
    Some((before, marker, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tools_come_first_then_the_text() {
        let script = Script::parse(r#"list [[tool:Bash {"command":"ls"}]] please"#);
        assert_eq!(script.text, "list  please");
        assert_eq!(
            script.step(0, None),
            Step::Tool {
                name: "Bash".into(),
                input: json!({"command": "ls"})
            }
        );
        assert_eq!(
            script.step(1, Some("a.txt")),
            Step::Text("You asked: list  please\nThe tool answered: a.txt".into())
        );
    }

    #[test]
    fn a_status_wins_and_unknown_markers_stay_text() {
        assert_eq!(
            Script::parse("x [[status:401]]").step(0, None),
            Step::Error(401)
        );
        assert_eq!(
            Script::parse("x [[what]]").step(0, None),
            Step::Text("You asked: x [[what]]".into())
        );
        assert_eq!(
            Script::parse("[[slow]]go").step(0, None),
            Step::Endless("You asked: go".into())
        );
        assert_eq!(
            Script::parse("go [[cut]]").step(0, None),
            Step::Cut("You asked: go".into())
        );
    }
}
