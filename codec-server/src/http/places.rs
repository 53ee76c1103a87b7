//! Places of payloads in a header of the answer: `0,2-5`.

use std::fmt::Write as _;

use http::HeaderValue;

/// From this length on, the list ends with one range. Proxies and clients refuse answers with long headers: nginx reads
/// 4 KiB of them by default (`proxy_buffer_size`).
const LONG: usize = 1024;

/// The header's value for `places`, which ascend; `None` for an empty list. A long list ends with one range to the last
/// place. That range can include other places.
pub(super) fn value(places: &[usize]) -> Option<HeaderValue> {
    let last = places.last()?;
    let mut text = String::new();
    for range in places.chunk_by(|place, next| next - place == 1) {
        let (first, end) = (range.first()?, range.last()?);
        let is_long = text.len() >= LONG;
        let end = if is_long { last } else { end };
        let separator = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{first}");
        if end > first {
            let _ = write!(text, "-{end}");
        }
        if is_long {
            break;
        }
    }
    text.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(places: impl IntoIterator<Item = usize>) -> String {
        let places: Vec<usize> = places.into_iter().collect();
        value(&places).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn neighbours_are_a_range() {
        assert_eq!(value(&[]), None);
        assert_eq!(text([7]), "7");
        assert_eq!(text([0, 1]), "0-1");
        assert_eq!(text([0, 2, 3, 4, 9]), "0,2-4,9");
        assert_eq!(text(0..1_000_000), "0-999999");
    }

    #[test]
    fn a_long_list_stays_short_and_leaves_no_place_out() {
        let list = text((0..1_000_000).step_by(2));
        assert!(list.len() < LONG + 50, "{}", list.len());
        let ranges: Vec<(usize, usize)> = list
            .split(',')
            .map(|entry| {
                let (first, end) = entry.split_once('-').unwrap_or((entry, entry));
                (first.parse().unwrap(), end.parse().unwrap())
            })
            .collect();
        for place in (0..1_000_000).step_by(2) {
            assert!(
                ranges
                    .iter()
                    .any(|(first, last)| (first..=last).contains(&&place)),
                "{place}"
            );
        }
        assert!(
            !ranges
                .iter()
                .any(|(first, last)| (first..=last).contains(&&1))
        );
        assert_eq!(ranges.last().unwrap().1, 999_998);
    }
}
