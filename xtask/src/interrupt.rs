//! Ctrl-C and the other signals that end a command which has started servers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
};

use anyhow::Context;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Ctrl-C and similar signals. They end every server, and so every wait for one.
pub(crate) struct Interrupts {
    came: Arc<AtomicBool>,
    first: Receiver<()>,
}

impl Interrupts {
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("no signal handler")?;
        let came = Arc::new(AtomicBool::new(false));
        let (sender, first) = channel();
        let noticed = Arc::clone(&came);
        thread::spawn(move || {
            for _ in &mut signals {
                noticed.store(true, Ordering::SeqCst);
                let _ = sender.send(());
                dev_servers::close();
            }
        });
        Ok(Self { came, first })
    }

    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// Blocks until the user ends the command.
    pub(crate) fn wait(&self) {
        let _ = self.first.recv();
    }
}
