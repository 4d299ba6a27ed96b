//! How much a request may bring and how long it may take.

use std::time::Duration;

/// The bounds of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteLimits {
    /// The most bytes of a body.
    pub(crate) body: usize,
    /// How long the body may take to come.
    pub(crate) body_within: Duration,
    /// How long the route may take until it begins to answer.
    pub(crate) answer_within: Duration,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_mins(2),
        }
    }
}
