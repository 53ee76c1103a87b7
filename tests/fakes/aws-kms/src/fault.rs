/// A fault of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The error of this code, with the status that AWS gives it.
    Error(&'static str),
    /// The error of this code with this message.
    Message(&'static str, &'static str),
    /// The status without any body.
    Status(u16),
    /// A denial as XML, without the fields that the protocol has.
    XmlDenial,
    /// The status with a page for people, as proxies answer.
    Html(u16, &'static str),
    /// The connection ends without an answer.
    Hangup,
    /// The call never gets an answer.
    Hang,
    /// Success, but no JSON.
    Garbage,
    /// Success, but an empty object.
    Empty,
    /// The answer stops half-way.
    Cut,
    /// The answer never stops.
    Endless,
    /// The answer names another key.
    OtherKey,
    /// The decrypted or encrypted bytes have this length.
    Length(usize),
}
