//! Ctrl-C: once asks the run that is watched to pause, twice ends the process at once. Neither loses anything.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::failure::Failure;

/// The interrupts that came since it was made. Until then the system's own behaviour holds.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts {
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Takes over SIGINT and SIGTERM.
    pub(crate) fn install() -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::caused("cannot listen for Ctrl-C", &error);
        let mut interrupts = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminations = signal(SignalKind::terminate()).map_err(cannot)?;
        let (sender, count) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                sender.send_modify(|count| *count += 1);
                if *sender.borrow() > 1 {
                    std::process::exit(Exit::INTERRUPTED);
                }
            }
        });
        Ok(Self { count })
    }

    /// Waits for the first interrupt, which may have been.
    pub(crate) async fn first(&self) {
        let mut count = self.count.clone();
        if count.wait_for(|count| *count > 0).await.is_err() {
            // The task that counts never ends while the program runs; without it there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    }

    /// Returns whether there was one.
    pub(crate) fn came(&self) -> bool {
        *self.count.borrow() > 0
    }
}
