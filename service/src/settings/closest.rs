//! Finds the known name that was probably meant by one that is unknown.

/// The known name that was probably meant by `name`: the one with the fewest edits, at most two.
#[must_use]
pub fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(edits, known)| *edits <= 2 && *edits < known.len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_few_edits_is_meant() {
        let meant = |name| closest(name, ["listen", "listen_on", "ttl"].into_iter());
        for (name, expected) in [
            ("listn", Some("listen")),
            ("litsen", Some("listen")),
            ("listen_no", Some("listen_on")),
            ("tll", Some("ttl")),
            ("lis", None),
            ("max_body", None),
            // Two edits of a name with two characters would be another name.
            ("", None),
        ] {
            assert_eq!(meant(name), expected, "{name}");
        }
        assert_eq!(closest("ab", ["cd"].into_iter()), None);
    }
}
