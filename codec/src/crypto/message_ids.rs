//! The ids of the messages of one batch.

use std::marker::PhantomData;

use super::{
    key_schedule::MessageId,
    random::{self, NoRandomness},
};

/// Ids that are drawn at once: 4 KiB.
const MOST: usize = 128;

/// Draws the ids of a batch together: a draw of one takes as long as sealing a small message.
///
/// It must not outlive the batch, because a copy of the process would have the same ids. So it cannot be sent to another thread,
/// and a task cannot hold it while it waits. Ids need no erasing: a message shows its id.
pub(crate) struct MessageIds {
    drawn: Vec<MessageId>,
    /// Messages whose ids are not drawn.
    missing: usize,
    stays_here: PhantomData<*const ()>,
}

impl MessageIds {
    /// The ids of so many messages.
    pub(crate) const fn new(messages: usize) -> Self {
        Self {
            drawn: Vec::new(),
            missing: messages,
            stays_here: PhantomData,
        }
    }

    /// The id of the next message.
    pub(crate) fn draw(&mut self) -> Result<MessageId, NoRandomness> {
        if self.drawn.is_empty() {
            let mut drawn = vec![MessageId::default(); self.missing.clamp(1, MOST)];
            random::fill(drawn.as_flattened_mut())?;
            self.missing = self.missing.saturating_sub(drawn.len());
            self.drawn = drawn;
        }
        self.drawn.pop().ok_or(NoRandomness)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_message_has_an_id_of_its_own() {
        for messages in [0, 1, 2, MOST - 1, MOST, MOST + 1, 3 * MOST] {
            let mut ids = MessageIds::new(messages);
            // Also those above the number that was told.
            let drawn: BTreeSet<_> = (0..messages + 3).map(|_| ids.draw().unwrap()).collect();
            assert_eq!(drawn.len(), messages + 3);
            assert!(!drawn.contains(&MessageId::default()));
        }
    }

    #[test]
    fn no_more_ids_are_drawn_than_messages_are_left() {
        for (messages, left) in [(1, 0), (20, 19), (MOST + 1, MOST - 1)] {
            let mut ids = MessageIds::new(messages);
            ids.draw().unwrap();
            assert_eq!(ids.drawn.len(), left);
        }
    }
}
