//! How far a model's own count of tokens lies from the estimate, learnt from its answers.

use serde::{Deserialize, Serialize};

/// The ratio of counted to estimated tokens of one model.
///
/// It rises fast and falls slowly, because an estimate that is too low costs the prompt and one that is too high only
/// room; and it never leaves the range in which tokenisers lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Calibration {
    permille: u64,
    observations: u32,
}

/// As it is stored; read back into the range, whatever stands there.
#[derive(Serialize, Deserialize)]
struct Stored {
    permille: u64,
    observations: u32,
}

/// The least ratio: an estimate is never lowered by more than a fifth, because the next text may be of another kind.
const LEAST: u64 = 800;
/// The greatest ratio.
const MOST: u64 = 2500;
/// A count below this ratio is no count of the whole prompt: a cached beginning was left out.
const PLAUSIBLE: u64 = 550;
/// The least estimate that teaches something; below it the marks of the model's template outweigh the text.
const ENOUGH: u64 = 256;

impl Default for Calibration {
    fn default() -> Self {
        Self {
            permille: 1000,
            observations: 0,
        }
    }
}

impl Calibration {
    /// Learns from a prompt that was estimated at `estimate` tokens (not calibrated) and counted as `counted`.
    pub fn observe(&mut self, estimate: u64, counted: u64) {
        if estimate < ENOUGH {
            return;
        }
        let ratio = counted.saturating_mul(1000) / estimate;
        if ratio < PLAUSIBLE {
            return;
        }
        let ratio = ratio.clamp(LEAST, MOST);
        self.permille = if self.observations == 0 && ratio > self.permille {
            ratio
        } else if ratio > self.permille {
            (self.permille + ratio).div_ceil(2)
        } else {
            (self.permille * 7 + ratio).div_ceil(8)
        };
        self.observations = self.observations.saturating_add(1);
    }

    /// Returns the estimate as this model would probably count it.
    pub fn apply(&self, estimate: u64) -> u64 {
        estimate.saturating_mul(self.permille).div_ceil(1000)
    }

    /// Returns how many estimated tokens (not calibrated) fit into `tokens` of the model's.
    pub fn room(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(1000) / self.permille
    }

    /// Returns how many counts it has learnt from.
    pub fn observations(&self) -> u32 {
        self.observations
    }
}

impl From<Stored> for Calibration {
    fn from(stored: Stored) -> Self {
        Self {
            permille: stored.permille.clamp(LEAST, MOST),
            observations: stored.observations,
        }
    }
}

impl From<Calibration> for Stored {
    fn from(calibration: Calibration) -> Self {
        Self {
            permille: calibration.permille,
            observations: calibration.observations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(observed: &[(u64, u64)]) -> u64 {
        let mut calibration = Calibration::default();
        for (estimate, counted) in observed {
            calibration.observe(*estimate, *counted);
        }
        calibration.apply(1000)
    }

    #[test]
    fn a_ratio_is_learnt_within_its_range() {
        let fallen = [(1000, 900); 60];
        for (observed, expect) in [
            (&[][..], 1000),
            // The first count that is too high is believed at once, later ones by half.
            (&[(1000, 1200)], 1200),
            (&[(1000, 1000), (1000, 1200)], 1100),
            (&[(1000, 900)], 988),
            (&fallen, 907),
            // A cached beginning, and a prompt too small to tell.
            (&[(1000, 100), (1000, 0), (1000, 549)], 1000),
            (&[(100, 300)], 1000),
            // Beyond what tokenisers do.
            (&[(1000, u64::MAX)], 2500),
            (&[(u64::MAX, u64::MAX)], 1000),
        ] {
            assert_eq!(after(observed), expect, "{observed:?}");
        }
        assert_eq!(
            after(&[(1000, 600); 500]),
            807,
            "rounding up keeps it above the least"
        );
    }

    #[test]
    fn room_is_the_reverse() {
        let mut calibration = Calibration::default();
        calibration.observe(1000, 1250);
        assert_eq!((calibration.apply(800), calibration.room(1000)), (1000, 800));
        assert_eq!(calibration.observations(), 1);
        for tokens in [0, 1, 7, 4096, 131_072] {
            assert!(calibration.apply(calibration.room(tokens)) <= tokens);
        }
    }

    #[test]
    fn what_is_stored_is_read_back_into_the_range() {
        let mut calibration = Calibration::default();
        calibration.observe(1000, 1100);
        let text = serde_json::to_string(&calibration).unwrap();
        assert_eq!(text, r#"{"permille":1100,"observations":1}"#);
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
        let zero: Calibration = serde_json::from_str(r#"{"permille":0,"observations":9}"#).unwrap();
        assert_eq!(zero.apply(1000), 800);
    }
}
