//! What an owner is busy with, so that it neither ends in the middle of a client's run nor begins another while ending.

use std::sync::Arc;

use tokio::sync::watch;

/// How many requests are being carried out, and whether more are taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    busy: usize,
    closing: bool,
}

/// A request that is being carried out, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Activity,
}

impl Activity {
    /// Begins a request. None where the owner is about to end.
    pub(super) fn begin(&self) -> Option<Busy> {
        let begun = self.state.send_if_modified(|state| {
            if !state.closing {
                state.busy += 1;
            }
            !state.closing
        });
        begun.then(|| Busy {
            activity: self.clone(),
        })
    }

    /// Returns how many requests are being carried out.
    pub(super) fn busy(&self) -> usize {
        self.state.borrow().busy
    }

    /// Takes no more if nothing is being carried out. Returns whether no more is taken.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut closed = false;
        self.state.send_if_modified(|state| {
            let idle = state.busy == 0 && !state.closing;
            state.closing |= idle;
            closed = state.closing;
            idle
        });
        closed
    }

    /// Waits until nothing is being carried out, and from that very moment takes no more.
    pub(super) async fn close_when_idle(&self) {
        let mut changes = self.state.subscribe();
        while !self.close_if_idle() {
            // The sender lives in `self`, so the wait ends by the condition alone.
            let _ = changes.wait_for(|state| state.closing || state.busy == 0).await;
        }
    }

    /// Takes no more, whatever is being carried out.
    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.closing = true);
    }

    /// Waits until no more is taken.
    pub(super) async fn closed(&self) {
        // The sender lives in `self`, so the wait ends by the condition alone.
        let _ = self.state.subscribe().wait_for(|state| state.closing).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.state.send_modify(|state| state.busy -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_waits_for_the_last_and_then_takes_no_more() {
        let activity = Activity::default();
        let (first, second) = (activity.begin().unwrap(), activity.begin().unwrap());
        let closing = tokio::spawn({
            let activity = activity.clone();
            async move { activity.close_when_idle().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!closing.is_finished());
        let third = activity.begin().expect("a busy owner takes more");
        drop(second);
        tokio::task::yield_now().await;
        assert!(!closing.is_finished());
        drop(third);
        closing.await.unwrap();
        assert!(activity.begin().is_none());
        activity.closed().await;
    }

    #[tokio::test]
    async fn an_owner_can_close_over_what_is_under_way() {
        let activity = Activity::default();
        let _busy = activity.begin().unwrap();
        activity.close();
        assert!(activity.begin().is_none());
        assert!(activity.close_if_idle());
        activity.close_when_idle().await;
        assert_eq!(activity.busy(), 1);
    }
}
