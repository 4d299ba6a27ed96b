//! The least that has to come within a stretch of time, so that a reply that drips comes to an end.

use std::time::Duration;

use tokio::time::Instant;

use crate::llm::server::Bounds;

/// Counts what comes against what has to come. The first stretch begins when this is made.
#[derive(Debug)]
pub(crate) struct Pace {
    stretch: Duration,
    bytes: usize,
    heard: usize,
    until: Instant,
}

impl Pace {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            stretch: bounds.pace,
            bytes: bounds.pace_bytes,
            heard: 0,
            until: Instant::now() + bounds.pace,
        }
    }

    /// Returns when the stretch is over, unless enough comes before.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Takes note of bytes that came; enough of them begin a new stretch.
    pub(crate) fn heard(&mut self, bytes: usize) {
        self.heard = self.heard.saturating_add(bytes);
        if self.heard >= self.bytes {
            self.heard = 0;
            self.until = Instant::now() + self.stretch;
        }
    }

    /// Returns the words for a stretch in which too little came.
    pub(crate) fn shortfall(&self) -> String {
        format!(
            "it drips: less than {} bytes of the reply came within {:?}",
            self.bytes, self.stretch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_enough_begins_a_new_stretch() {
        let mut pace = Pace::new(&Bounds {
            pace: Duration::from_secs(10),
            pace_bytes: 100,
            ..Bounds::default()
        });
        let first = pace.until();
        tokio::time::advance(Duration::from_secs(4)).await;
        pace.heard(99);
        assert_eq!(pace.until(), first);
        pace.heard(1);
        assert_eq!(pace.until(), first + Duration::from_secs(4));
        tokio::time::advance(Duration::from_secs(1)).await;
        pace.heard(99);
        assert_eq!(pace.until(), first + Duration::from_secs(4));
    }
}
