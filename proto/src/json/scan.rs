//! Finds the objects of a JSON text that have the shape of a payload, in one pass and without recursion.

mod key;
mod place;
mod shapes;

use std::ops::Range;

pub use self::place::{FoundAt, HistoryEvent};
pub(super) use self::shapes::Shapes;

/// Deeper than any history. Each open level takes memory.
pub(super) const MAX_DEPTH: usize = 10_000;

/// The objects with the shape of a payload, in order. An object inside of another is part of it.
///
/// [`find_payloads`](super::find_payloads) says what the shape is. `text` must be valid JSON.
///
/// # Errors
/// The offset at which `text` is nested too deeply.
pub(super) fn payload_shapes(text: &str) -> Result<Vec<Range<usize>>, usize> {
    let mut shapes = Shapes::default();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' if shapes.depth() >= MAX_DEPTH => return Err(at),
            b'{' | b'[' => shapes.open(at, byte == b'{'),
            b'}' | b']' => shapes.close(at + 1),
            b'"' => {
                let end = end_of_string(&mut bytes).unwrap_or(text.len());
                shapes.string(text.as_bytes().get(at..end).unwrap_or_default());
            }
            b',' => shapes.next_entry(),
            b'n' => shapes.scalar(b"null"),
            b't' | b'f' | b'-' | b'0'..=b'9' => shapes.scalar(b""),
            _ => {}
        }
    }
    Ok(shapes.found.into_iter().map(|found| found.range).collect())
}

/// The end of the string in which `bytes` starts, after its closing quote.
fn end_of_string(bytes: &mut impl Iterator<Item = (usize, u8)>) -> Option<usize> {
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        payload_shapes(text)
            .unwrap()
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn the_shape_is_found_at_any_depth_and_with_any_other_field() {
        for payload in [
            r#"{"metadata":{"encoding":"YQ=="}}"#,
            r#"{"data":null,"metadata":{"encoding":"YQ","x":null}}"#,
            r#"{"met\u0061data":{"encoding":"\u0059Q=="},"data":"?"}"#,
            r#"{"metadata":{"encoding":"YQ=="},"new":[{"a":{"b":1e4}}],"data":""}"#,
            r#"{"metadata":{"encoding":"YQ=="},"inner":{"metadata":{"encoding":"Yg=="}}}"#,
        ] {
            assert_eq!(found(payload), [payload]);
            assert_eq!(
                found(&format!("[{{\"a\":[{payload},1,{payload}]}}]")),
                [payload; 2]
            );
        }
    }

    #[test]
    fn other_objects_are_left_alone() {
        for other in [
            r#"{"metadata":{"encoding":"json/plain"},"data":"hello"}"#,
            r#"{"metadata":{"encoding":"binary/plain"},"data":"hello"}"#,
            r#"{"metadata":{"encoding":""}}"#,
            r#"{"metadata":{"encoding":null}}"#,
            r#"{"metadata":{"encoding":{"a":"YQ=="}}}"#,
            r#"{"metadata":{"encoding":"YQ==","n":1}}"#,
            r#"{"metadata":["encoding","YQ=="]}"#,
            r#"{"metadata":{"encoding":"YQ=="},"data":{"a":1}}"#,
            r#"{"metadata":{"encoding":"YQ=="},"data":false}"#,
            r#"{"a":"metadata","b":{"encoding":"YQ=="}}"#,
            r#""{\"metadata\":{\"encoding\":\"YQ==\"}}""#,
            "1",
            "",
        ] {
            assert!(found(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn deep_nesting_is_followed_to_a_limit() {
        let depth = MAX_DEPTH - 2;
        let payload = r#"{"metadata":{"encoding":"YQ=="}}"#;
        let text = format!("{}{payload}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(found(&text), [payload]);
        let nested = r#"{"metadata":{"encoding":"YQ=="},"x":"#;
        let text = format!("{}1{}", nested.repeat(depth), "}".repeat(depth));
        assert_eq!(found(&text), [text.as_str()]);
        let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(payload_shapes(&text), Err(MAX_DEPTH));
    }
}
