//! The body of an answer. Its text is written while it is sent, piece by piece.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use temporal_kms::support::{erase, erase_vec};
use temporal_kms_codec::{SharedPayload, payload::Plain};
use temporal_kms_codec_proto::json::BodyPieces;

use super::{memory::Share, request_error::RequestError};

/// How much text is written at once. Most answers are one piece, because each piece takes the system a call and the HTTP library a
/// turn. Longer answers need no more memory than this beside their payloads, and the text of their metadata.
const PIECE: usize = 4 << 20;

/// The payloads of an answer, which are written when the client reads them. They cannot fail. Plaintext is erased when it is
/// written, and again when it is sent.
#[derive(Debug)]
pub(super) struct AnswerBody {
    pieces: BodyPieces,
    is_secret: bool,
    /// Held until the client has read everything.
    share: Arc<Share>,
}

impl AnswerBody {
    /// An answer of payloads that take so much memory. It keeps as much of the share as it needs. The work is done, so it may
    /// wait for memory as long as the steps before.
    pub(super) async fn new(
        payloads: Plain<Vec<SharedPayload>>,
        memory: usize,
        is_secret: bool,
        mut share: Share,
    ) -> Result<Self, RequestError> {
        let pieces = BodyPieces::new(payloads.into_inner(), is_secret.then_some(erase));
        let text = pieces.left().min(PIECE) + pieces.held_beside();
        share.renew_patience();
        share.grow(text).await?;
        share.keep(memory + text);
        Ok(Self {
            pieces,
            is_secret,
            share: Arc::new(share),
        })
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next_piece(PIECE).map(|text| Piece {
            text,
            is_secret: self.is_secret,
            _share: Arc::clone(&self.share),
        });
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.left() as u64)
    }
}

/// A piece that is being sent.
struct Piece {
    text: Vec<u8>,
    is_secret: bool,
    _share: Arc<Share>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.is_secret {
            erase_vec(&mut self.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use temporal_kms_codec::payload::Metadata;
    use tokio::time::sleep;

    use super::*;
    use crate::http::memory::Memory;

    /// The metadata of a payload, and the length of their base64.
    const METADATA: usize = 6 << 20;
    const TEXT: usize = METADATA / 3 * 4;

    async fn answer(max_memory: usize) -> Result<AnswerBody, RequestError> {
        let metadata = Metadata::from([("a".to_owned(), vec![7; METADATA])]);
        let payload = SharedPayload::new(Arc::new(metadata), Vec::new());
        let mut share = Memory::new(max_memory).share();
        share.try_grow(METADATA)?;
        AnswerBody::new(Plain::new(vec![payload]), METADATA, true, share).await
    }

    #[tokio::test]
    async fn long_metadata_are_counted_as_often_as_they_are_held() {
        // As a payload, in the text of the metadata and in the text that is not sent yet. Beside them is a piece.
        let held = METADATA + 2 * TEXT + PIECE;
        let mut answer = answer(64 << 20).await.unwrap();
        let piece = answer.frame().await;
        assert!(piece.is_some());
        let counted = answer.share.bytes();
        assert!((held..held + 100).contains(&counted), "{held}: {counted}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_memory_after_a_body_that_waited() {
        let memory = Memory::new(8 << 20);
        let mut other = memory.share();
        other.try_grow(7 << 20).unwrap();
        let mut share = memory.share();
        assert!(share.grow(4 << 20).await.is_err());
        let payload = SharedPayload::new(Arc::default(), vec![7_u8; 3 << 20]);
        let (answer, ()) = tokio::join!(
            AnswerBody::new(Plain::new(vec![payload]), 0, true, share),
            async {
                sleep(Duration::from_millis(500)).await;
                drop(other);
            },
        );
        answer.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_metadata_exceed_the_memory_is_refused() {
        let refused = answer(METADATA + PIECE + TEXT).await;
        assert!(matches!(refused, Err(RequestError::Busy)));
    }
}
