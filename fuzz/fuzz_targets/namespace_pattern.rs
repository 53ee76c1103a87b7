//! Patterns of namespaces: they match as a slow matcher does, and two that match one name equally well conflict.

#![no_main]

use libfuzzer_sys::fuzz_target;
use temporal_kms_codec_service::namespaces::{Pattern, Patterns};

fuzz_target!(|input: (&str, &str, &str)| {
    let (one, other, name) = input;
    if one.len() + other.len() + name.len() > 300 {
        return;
    }
    let (Ok(one), Ok(other)) = (Pattern::new(one), Pattern::new(other)) else {
        return;
    };
    for pattern in [&one, &other] {
        assert_eq!(pattern.matches(name), matches(pattern.as_str(), name));
        assert!(!pattern.matches(name) || pattern.resembles(&name.to_ascii_uppercase()));
    }
    assert_eq!(one.conflicts_with(&other), other.conflicts_with(&one));
    let is_shared = one.matches(name) && other.matches(name);
    let is_even = closeness(one.as_str()) == closeness(other.as_str());
    assert!(!(is_shared && is_even) || one.conflicts_with(&other));
    let patterns: Patterns<()> = [(one.clone(), ()), (other.clone(), ())]
        .into_iter()
        .collect();
    match patterns.get(name) {
        Some((found, ())) => {
            let passed_over = if *found == one { &other } else { &one };
            let is_closer = closeness(found.as_str()) >= closeness(passed_over.as_str());
            assert!(is_closer || !passed_over.matches(name));
        }
        None => assert!(!one.matches(name) && !other.matches(name)),
    }
});

fn closeness(pattern: &str) -> (usize, usize) {
    let prefix = pattern.find('*').unwrap_or(pattern.len());
    (prefix, pattern.replace('*', "").len())
}

/// Tries every length of every star.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match wanted {
                '*' => reached[at] || at > 0 && next[at - 1],
                wanted => at > 0 && reached[at - 1] && name[at - 1] == wanted,
            };
        }
        reached = next;
    }
    reached[name.len()]
}
