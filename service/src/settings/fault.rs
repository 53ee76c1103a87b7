//! Reports mistakes that show only when several settings are seen together.

use super::{problem::Fault, source::Source};

/// Reports `faults`, each once. A fault that may follow from a mistake that is reported already would mislead.
pub(super) fn report(source: &Source<'_>, faults: impl IntoIterator<Item = Fault>) {
    let may_follow = |fault: &Fault| {
        source.any_wrong(|wrong| {
            let mut causes = fault.follows_from.iter();
            is_part(wrong, &fault.setting) || causes.any(|cause| is_part(wrong, cause))
        })
    };
    // All of them are chosen before the first is reported: faults do not hide each other.
    let mut chosen: Vec<Fault> = Vec::new();
    for fault in faults {
        if !may_follow(&fault) && !chosen.contains(&fault) {
            chosen.push(fault);
        }
    }
    for fault in chosen {
        let place = source.place_of(&fault.setting);
        source.report(place, &fault.setting, fault.message);
    }
}

/// Whether one of two settings is the other, or a table around it.
fn is_part(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    !one.is_empty() && !other.is_empty() && (within(one, other) || within(other, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_table_around_a_setting_is_related_to_it() {
        for (one, other) in [
            ("keys", "keys"),
            ("keys", "keys.local_keyring"),
            ("cache.ttl", "cache"),
        ] {
            assert!(is_part(one, other) && is_part(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("", "keys"),
            ("key", "keys"),
            ("keys.aws_region", "keys.aws_role"),
            ("namespaces.a", "namespaces.ab.encrypt"),
        ] {
            assert!(
                !is_part(one, other) && !is_part(other, one),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_mistake_hides_only_the_faults_that_may_follow_from_it() {
        let source = Source::new("", &|_| None);
        source.report(None, "cache.ttl", "expected a time");
        report(
            &source,
            [
                Fault::new("cache", "the cache is too large"),
                Fault::new("namespaces.a.dek", "too short").following_from("cache"),
                Fault::new("namespaces.a.encrypt", "the key does not exist"),
                Fault::new("namespaces.a.encrypt", "the key does not exist"),
                Fault::new("namespaces.a.encrypt", "it is named twice"),
            ],
        );
        let problems = source.problems.take();
        let settings: Vec<&str> = problems.iter().map(|p| p.setting.as_str()).collect();
        let encrypt = "namespaces.a.encrypt";
        assert_eq!(settings, ["cache.ttl", encrypt, encrypt]);
    }
}
