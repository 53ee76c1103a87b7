//! An answer of a key service.

/// The headers that a key provider reads, and those that an HTTP client reads of a usual answer. No answer leads to
/// another host.
const HEADERS: [&str; 5] = [
    "content-type",
    "date",
    "x-amz-request-id",
    "x-amzn-errortype",
    "x-amzn-requestid",
];

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status, from 200 to 599.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// An answer with JSON.
    #[must_use]
    pub fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// Reads an input: a line with the operation and the status of its answer, lines with headers, an empty line, and the
    /// body. `None` for an input of another form.
    #[must_use]
    pub fn parse(input: &[u8]) -> Option<(&str, Self)> {
        let end = input.windows(2).position(|bytes| bytes == b"\n\n")?;
        let (head, body) = input.split_at(end);
        let mut lines = std::str::from_utf8(head).ok()?.lines();
        let (operation, status) = lines.next()?.split_once(' ')?;
        // An answer with a lower status is followed by another answer.
        let status = status
            .parse()
            .ok()
            .filter(|status| (200..600).contains(status))?;
        let headers = lines.map(header).collect::<Option<_>>()?;
        let body = body.get(2..)?.to_vec();
        Some((
            operation,
            Self {
                status,
                body,
                headers,
            },
        ))
    }

    /// The answer as HTTP/1.1 has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        // These two have no body.
        if matches!(self.status, 204 | 304) {
            return (head + "\r\n").into_bytes();
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

fn header(line: &str) -> Option<(&'static str, String)> {
    let (name, value) = line.split_once(": ")?;
    let name = HEADERS.into_iter().find(|known| *known == name)?;
    let is_text = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_text.then(|| (name, value.to_owned()))
}
