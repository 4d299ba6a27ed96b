//! How many kills hit what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::phase::Phase;

/// The share of the kills that each phase must have, in percent.
const LEAST_SHARE: u32 = 5;

/// The kills so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) kills: BTreeMap<Phase, u32>,
    /// Kills that came after the run's end was stored; they are not counted.
    pub(crate) too_late: u32,
    pub(crate) runs: u32,
    /// How often a parked run was resumed.
    pub(crate) parked: u32,
    pub(crate) took: Duration,
}

impl Report {
    pub(crate) fn count(&mut self, phase: Option<Phase>) {
        match phase {
            Some(phase) => *self.kills.entry(phase).or_default() += 1,
            None => self.too_late += 1,
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.kills.values().sum()
    }

    fn of(&self, phase: Phase) -> u32 {
        self.kills.get(&phase).copied().unwrap_or_default()
    }

    /// Returns whether there are as many kills as wanted, and each phase has its share of them.
    pub(crate) fn is_enough(&self, wanted: u32) -> bool {
        self.total() >= wanted && self.lacking().is_none()
    }

    /// Returns a phase that has less than its share.
    pub(crate) fn lacking(&self) -> Option<Phase> {
        Phase::WORK
            .into_iter()
            .find(|phase| self.of(*phase) == 0 || self.of(*phase) * 100 < self.total() * LEAST_SHARE)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        writeln!(
            formatter,
            "{total} kills in {} runs, {:.1?}",
            self.runs, self.took
        )?;
        for phase in Phase::WORK.into_iter().chain([Phase::Takeover]) {
            let count = self.of(phase);
            let share = f64::from(count) * 100.0 / f64::from(total.max(1));
            writeln!(formatter, "  {phase:<12}{count:>4}  {share:>5.1} %")?;
        }
        write!(
            formatter,
            "  {} kills came after the end and are not counted; {} parked runs were resumed",
            self.too_late, self.parked
        )
    }
}
