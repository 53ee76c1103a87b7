//! Patterns of namespace names, such as `team-*`, and which of several patterns counts.

use std::{cmp::Reverse, fmt};

use temporal_kms_codec::{ConfigurationError, Namespace};

/// A name in which each `*` takes the place of any characters, also of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// The texts between the stars: one more than there are stars.
    literals: Vec<String>,
}

impl Pattern {
    /// Whether a section's name is a pattern. Any other name is that of one namespace.
    #[must_use]
    pub fn is_in(name: &str) -> bool {
        name.contains('*')
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// When no namespace has such a name.
    pub fn new(text: &str) -> Result<Self, ConfigurationError> {
        // The characters and the length of a pattern are those of a name.
        Namespace::new(text)?;
        if text.contains("**") {
            return Err(ConfigurationError::invalid(
                "namespace",
                "it holds `**`; choose one `*`, which takes the place of any characters",
            ));
        }
        Ok(Self {
            literals: text.split('*').map(str::to_owned).collect(),
            text: text.to_owned(),
        })
    }

    /// The pattern as the configuration has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `name` has this form.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let [prefix, inner @ .., suffix] = self.literals.as_slice() else {
            return self.text == name;
        };
        let Some(mut rest) = name
            .strip_prefix(prefix.as_str())
            .and_then(|rest| rest.strip_suffix(suffix.as_str()))
        else {
            return false;
        };
        // The earliest place of each text leaves the most for those behind it.
        for literal in inner {
            match rest.split_once(literal.as_str()) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        true
    }

    /// As [`matches`](Self::matches), where case counts for nothing, as for many proxies.
    #[must_use]
    pub fn resembles(&self, name: &str) -> bool {
        let lower = Self {
            text: self.text.to_ascii_lowercase(),
            literals: self
                .literals
                .iter()
                .map(|literal| literal.to_ascii_lowercase())
                .collect(),
        };
        lower.matches(&name.to_ascii_lowercase())
    }

    /// How closely it describes a name, most closely first: by the characters before the first star, then by all that
    /// are not stars.
    fn specificity(&self) -> Reverse<(usize, usize)> {
        let prefix = self.literals.first().map_or(0, String::len);
        Reverse((prefix, self.text.replace('*', "").len()))
    }

    /// Whether some name has the form of both, and neither describes it more closely.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.specificity() == other.specificity() && overlap(&self.text, &other.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Patterns, each with its value.
#[derive(Clone, Debug)]
pub struct Patterns<T>(Vec<(Pattern, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(Pattern, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (Pattern, T)>>(patterns: I) -> Self {
        let mut patterns: Vec<_> = patterns.into_iter().collect();
        patterns.sort_by_key(|(pattern, _)| (pattern.specificity(), pattern.text.clone()));
        Self(patterns)
    }
}

impl<T> Patterns<T> {
    /// The value of the pattern that describes `name` most closely.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Pattern, T)> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name))
    }

    /// All of them, the closest first.
    pub fn iter(&self) -> impl Iterator<Item = &(Pattern, T)> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs of patterns of which neither is closer for some name.
    pub fn conflicts(&self) -> impl Iterator<Item = (&Pattern, &Pattern)> {
        self.0.iter().enumerate().flat_map(|(index, (one, _))| {
            let others = self.0.iter().skip(index + 1).map(|(other, _)| other);
            let conflicting = others.filter(|other| one.conflicts_with(other));
            conflicting.map(move |other| (one, other))
        })
    }
}

/// Whether some text has the form of both patterns. Each row says for one prefix of `one` which prefixes of `other`
/// describe a common text with it.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let stars = |pattern: &[char]| pattern.iter().take_while(|c| **c == '*').count();
    let leading = stars(&other);
    let mut above: Vec<bool> = (0..=other.len()).map(|length| length <= leading).collect();
    for first in &one {
        let is_star = *first == '*';
        let mut row = vec![is_star && above.first() == Some(&true)];
        for (index, second) in other.iter().enumerate() {
            let at = |row: &[bool], index: usize| row.get(index) == Some(&true);
            let (left, up) = (at(&row, index), at(&above, index + 1));
            row.push(if is_star || *second == '*' {
                // A star describes nothing, or one character more.
                left || up
            } else {
                first == second && at(&above, index)
            });
        }
        above = row;
    }
    above.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn a_star_takes_the_place_of_any_characters() {
        for (text, name) in [
            ("team-*", "team-a"),
            ("team-*", "team-"),
            ("*", "anything.at-all"),
            ("*.a1b2c", "prod.a1b2c"),
            ("a*b*c", "abc"),
            ("a*b*c", "a--b-b--c"),
            ("*pröd*", "x-pröd-y"),
        ] {
            assert!(pattern(text).matches(name), "{text} {name}");
        }
        for (text, name) in [
            ("team-*", "team"),
            ("team-*", "xteam-a"),
            ("team-*", "Team-a"),
            ("a*a", "a"),
            ("ab*ba", "aba"),
            ("a*b*c", "acb"),
            ("*.a1b2c", "prod.a1b2cd"),
        ] {
            assert!(!pattern(text).matches(name), "{text} {name}");
        }
        assert!(pattern("team-*").resembles("TEAM-a"));
        assert!(Pattern::new("a**").is_err() && Pattern::new("a\n*").is_err());
    }

    #[test]
    fn the_longest_prefix_counts_then_the_most_characters() {
        let texts = ["*", "team-*", "team-a-*", "team-*-prod", "*-prod"];
        let patterns: Patterns<()> = texts.iter().map(|text| (pattern(text), ())).collect();
        for (name, expected) in [
            ("team-a-prod", "team-a-*"),
            ("team-b-prod", "team-*-prod"),
            ("team-b", "team-*"),
            ("other-prod", "*-prod"),
            ("other", "*"),
        ] {
            let (found, ()) = patterns.get(name).unwrap();
            assert_eq!(found.as_str(), expected, "{name}");
        }
        assert_eq!(patterns.conflicts().count(), 0);
    }

    #[test]
    fn only_patterns_with_a_common_name_conflict() {
        for (one, other) in [
            ("*-prod", "*-eu1x"),
            ("a-*-b", "a-*-c"),
            ("team-a*", "team-b*"),
        ] {
            assert!(
                !pattern(one).conflicts_with(&pattern(other)),
                "{one} {other}"
            );
        }
        let patterns: Patterns<()> = ["*a*", "*b*", "c*"]
            .iter()
            .map(|text| (pattern(text), ()))
            .collect();
        let conflicts: Vec<_> = patterns
            .conflicts()
            .map(|(one, other)| (one.as_str(), other.as_str()))
            .collect();
        assert_eq!(conflicts, [("*a*", "*b*")]);
    }

    /// The quick answer is that of trying every short name.
    #[test]
    fn an_overlap_is_found_exactly_where_a_name_has_both_forms() {
        let names: Vec<String> = (0..3_usize.pow(6))
            .filter_map(|number| {
                let digits = (0..6).scan(number, |rest, _| {
                    let digit = *rest % 3;
                    *rest /= 3;
                    Some(digit)
                });
                let text: String = digits
                    .take_while(|digit| *digit != 2)
                    .map(|digit| if digit == 0 { 'a' } else { 'b' })
                    .collect();
                (!text.is_empty()).then_some(text)
            })
            .collect();
        let patterns = [
            "*", "a*", "*a", "a*b", "b*a", "*ab*", "a*a*", "b*", "*b", "a*bb", "*aab",
        ];
        for one in patterns {
            for other in patterns {
                let (first, second) = (pattern(one), pattern(other));
                let common = names
                    .iter()
                    .any(|name| first.matches(name) && second.matches(name));
                assert_eq!(overlap(one, other), common, "{one} {other}");
            }
        }
    }
}
