//! The body of an upload with the name and the content of an object (RFC 2387, `multipart/related`).

use axum::body::Bytes;
use serde_json::Value;

/// An object in such a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) content: Bytes,
}

/// Reads the two parts: JSON, and the content. `None` if the body has another form.
pub(crate) fn read(content_type: &str, body: &Bytes) -> Option<Upload> {
    let boundary = content_type
        .strip_prefix("multipart/related")?
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    let delimiter = format!("--{}", boundary.trim_matches(['"', '\'']));
    let first = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    let second = find(body, delimiter.as_bytes(), first)?;
    let end = find(body, delimiter.as_bytes(), second + delimiter.len())?;
    let (_, resource) = part(body.get(first..second)?)?;
    let resource: Value = serde_json::from_slice(resource).ok()?;
    let (head, content) = part(body.get(second + delimiter.len()..end)?)?;
    let text = |name: &str| {
        resource
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let of_head = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.trim().to_owned())
    });
    Some(Upload {
        name: text("name"),
        kind: text("contentType").or(of_head),
        content: body.slice_ref(content),
    })
}

/// The headers and the content of a part, without the line break before the next delimiter.
fn part(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = find(bytes, b"\r\n\r\n", 0)?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let content = bytes.get(end + 4..)?;
    Some((head, content.strip_suffix(b"\r\n")?))
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let found = rest.windows(wanted.len()).position(|part| part == wanted);
    found.map(|place| from + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_upload_are_told_apart() {
        let body = "--x\r\ncontent-type: application/json\r\n\r\n{\"name\": \"a/b\"}\r\n--x\r\nContent-Type: text/plain\r\n\r\n1\r\n\r\n2\r\n--x--";
        let body = Bytes::from(body);
        let upload = read("multipart/related; boundary=\"x\"", &body).unwrap();
        assert_eq!(upload.name.as_deref(), Some("a/b"));
        assert_eq!(upload.kind.as_deref(), Some("text/plain"));
        assert_eq!(upload.content, "1\r\n\r\n2");
        for (kind, bad) in [
            ("multipart/form-data; boundary=x", body.clone()),
            ("multipart/related", body.clone()),
            ("multipart/related; boundary=y", body.clone()),
            ("multipart/related; boundary=x", body.slice(..60)),
            ("multipart/related; boundary=x", Bytes::new()),
        ] {
            assert_eq!(read(kind, &bad), None, "{kind}");
        }
    }
}
