//! Finds out whether bytes still pass a connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::io::{InspectReader, InspectWriter};

/// How often bytes have passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicU64>);

impl Activity {
    /// A stream whose bytes count, in both directions.
    pub(super) fn of<S>(&self, stream: S) -> impl AsyncRead + AsyncWrite + Send + Unpin + use<S>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let (read, written) = (self.clone(), self.clone());
        let reader = InspectReader::new(stream, move |_: &[u8]| read.count());
        InspectWriter::new(reader, move |_: &[u8]| written.count())
    }

    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns when no byte has passed for `time`, and at the latest after twice that time.
    pub(super) async fn ended(&self, time: Duration) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            sleep(time).await;
            let now = self.0.load(Ordering::Relaxed);
            if now == seen {
                return;
            }
            seen = now;
        }
    }
}
