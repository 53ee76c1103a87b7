use std::{fmt, str::FromStr, time::Duration};

use crate::route::Rpc;

/// A way to misbehave, for some methods and some number of calls.
///
/// Its text form is `KIND[=VALUE][*TIMES][@METHOD,METHOD…]`: `status=503*2@Encrypt` fails the next two calls of
/// `Encrypt`, `wrong-crc` damages every answer. A call suffers every latency that applies to it, and of the other
/// faults the first. `skew=N` affects all answers, and takes neither `*` nor `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// How many calls it affects. `None`: all calls.
    pub times: Option<u32>,
    /// The methods that it affects. Empty: all methods.
    pub methods: Vec<Rpc>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `latency=250ms`: the answer comes later.
    Latency(Duration),
    /// `status=N` with 401, 409, 429, 500, 503 or 504: the error of that status.
    Status(u16),
    /// `deny`: the caller lacks the permission, also according to `TestIamPermissions`.
    Deny,
    /// `service-disabled`: the project has not enabled the API.
    ServiceDisabled,
    /// `request-damaged`: the service finds that a checksum of the request does not match.
    RequestDamaged,
    /// `unverified`: the service did not see the request's checksums.
    Unverified,
    /// `wrong-crc`: the answer's checksums do not match its data.
    WrongCrc,
    /// `wrong-name`: the answer is another resource's.
    WrongName,
    /// `length=33`: the decrypted or encrypted bytes have this length, and the right checksum.
    Length(usize),
    /// `garbage`: the answer is not JSON.
    Garbage,
    /// `truncated`: the answer stops half-way.
    Truncated,
    /// `skew=-600s`: the `Date` of every answer is off by this much.
    Skew(i64),
    /// `dead`: the connection closes without an answer.
    Dead,
}

/// A text that is not a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseFaultError(String);

const MAX_LENGTH: usize = 1_000_000;

const STATUSES: [u16; 6] = [401, 409, 429, 500, 503, 504];

const PLAIN: [(&str, FaultKind); 9] = [
    ("deny", FaultKind::Deny),
    ("service-disabled", FaultKind::ServiceDisabled),
    ("request-damaged", FaultKind::RequestDamaged),
    ("unverified", FaultKind::Unverified),
    ("wrong-crc", FaultKind::WrongCrc),
    ("wrong-name", FaultKind::WrongName),
    ("garbage", FaultKind::Garbage),
    ("truncated", FaultKind::Truncated),
    ("dead", FaultKind::Dead),
];

impl Fault {
    /// Whether it happens to `rpc`.
    pub(crate) fn concerns(&self, rpc: Rpc) -> bool {
        self.methods.is_empty() || self.methods.contains(&rpc)
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what: &str| ParseFaultError(format!("`{text}`: {what}"));
        let (rest, methods) = text.split_once('@').unwrap_or((text, ""));
        let methods = methods
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| {
                name.parse()
                    .map_err(|()| invalid("there is no such method"))
            })
            .collect::<Result<_, _>>()?;
        let (kind, times) = match rest.split_once('*') {
            None => (rest, None),
            Some((kind, times)) => {
                let times = times
                    .parse()
                    .map_err(|_| invalid("the number after `*` is none"))?;
                (kind, Some(times))
            }
        };
        let kind = match kind.split_once('=') {
            Some(("latency", value)) => value
                .strip_suffix("ms")
                .and_then(|value| value.parse().ok())
                .map(|value| FaultKind::Latency(Duration::from_millis(value)))
                .ok_or_else(|| invalid("the form is latency=250ms"))?,
            Some(("status", value)) => value
                .parse()
                .ok()
                .filter(|status| STATUSES.contains(status))
                .map(FaultKind::Status)
                .ok_or_else(|| invalid("the statuses are 401, 409, 429, 500, 503, 504"))?,
            Some(("length", value)) => value
                .parse()
                .ok()
                .filter(|len| *len <= MAX_LENGTH)
                .map(FaultKind::Length)
                .ok_or_else(|| invalid("the form is length=33, up to 1000000"))?,
            Some(("skew", value)) => value
                .strip_suffix('s')
                .and_then(|value| value.parse().ok())
                .filter(|_| rest == kind && text == rest)
                .map(FaultKind::Skew)
                .ok_or_else(|| invalid("the form is skew=600s or skew=-600s"))?,
            _ => PLAIN
                .iter()
                .find(|(name, _)| *name == kind)
                .map(|(_, kind)| *kind)
                .ok_or_else(|| invalid("there is no such fault"))?,
        };
        Ok(Self {
            kind,
            times,
            methods,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Latency(delay) => write!(f, "latency={}ms", delay.as_millis())?,
            FaultKind::Status(status) => write!(f, "status={status}")?,
            FaultKind::Length(len) => write!(f, "length={len}")?,
            FaultKind::Skew(seconds) => write!(f, "skew={seconds}s")?,
            kind => {
                let name = PLAIN.iter().find(|(_, plain)| *plain == kind);
                f.write_str(name.map_or("", |(name, _)| name))?;
            }
        }
        if let Some(times) = self.times {
            write!(f, "*{times}")?;
        }
        for (index, rpc) in self.methods.iter().enumerate() {
            write!(f, "{}{rpc}", if index == 0 { '@' } else { ',' })?;
        }
        Ok(())
    }
}

impl fmt::Display for ParseFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseFaultError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in [
            "latency=250ms",
            "status=503*2@Encrypt",
            "deny@Decrypt,GetPublicKey",
            "wrong-crc*1",
            "length=33@Decrypt",
            "skew=-600s",
            "dead",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "status=200",
            "latency=1s",
            "length=-1",
            "length=1000001",
            "skew=600",
            "skew=600s*1",
            "skew=600s@Encrypt",
            "dead*x",
            "deny@Nothing",
            "wrong",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
