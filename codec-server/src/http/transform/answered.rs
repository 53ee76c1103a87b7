//! The payloads of an answer, and what each of them is.

use temporal_kms_codec::{
    SharedPayload,
    payload::{Erase, Plain},
};

use super::{
    super::{answer_body::AnswerBody, memory::Share, request_error::RequestError},
    Done,
    room::total,
};

/// The payloads of an answer, and which of them are placeholders or references.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) payloads: Plain<Vec<SharedPayload>>,
    pub(super) placeholders: Vec<usize>,
    pub(super) references: Vec<usize>,
}

impl Answered {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            payloads: Plain::new(Vec::with_capacity(count)),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, decoded: Decoded) {
        let index = self.payloads.len();
        self.payloads.push(match decoded {
            Decoded::Payload(payload) => payload,
            Decoded::Placeholder(payload) => {
                self.placeholders.push(index);
                payload
            }
            Decoded::Reference(payload) => {
                self.references.push(index);
                payload
            }
        });
    }

    /// The answer, which takes its share of the memory until the client has read it.
    pub(super) async fn write(self, share: Share, is_secret: bool) -> Result<Done, RequestError> {
        let (payloads, memory) = (self.payloads.len(), total(&self.payloads));
        Ok(Done {
            answer: AnswerBody::new(self.payloads, memory, is_secret, share).await?,
            payloads,
            placeholders: self.placeholders,
            references: self.references,
        })
    }
}

/// A payload of the answer.
pub(super) enum Decoded {
    Payload(SharedPayload),
    Placeholder(SharedPayload),
    Reference(SharedPayload),
}

impl Decoded {
    pub(super) fn payload(&self) -> &SharedPayload {
        match self {
            Self::Payload(payload) | Self::Placeholder(payload) | Self::Reference(payload) => {
                payload
            }
        }
    }
}

impl Erase for Decoded {
    fn erase(&mut self) {
        match self {
            Self::Payload(payload) | Self::Placeholder(payload) | Self::Reference(payload) => {
                payload.erase();
            }
        }
    }
}
