//! A moment in UTC, stored as text that sorts in time order and reads like the seed's own timestamps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// The text is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a timestamp such as 2026-01-31T12:00:00.000000Z")]
pub struct InvalidTimestamp(String);

/// A moment in UTC with microseconds. Never used for order: [`Seq`](super::Seq) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(
    clippy::unsafe_derive_deserialize,
    reason = "it is read through `FromStr`, which makes valid moments only"
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

const OURS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SEED: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const SEED_FRACTION: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");

impl Timestamp {
    /// 1970-01-01, which stands for "unknown" where an old row has no time that can be read.
    pub const UNKNOWN: Self = Self(OffsetDateTime::UNIX_EPOCH);

    /// Returns the moment as `time`'s own type.
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        self.0
    }

    /// Returns the moment after `duration`, or the latest one that can be written.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Self {
        let limit = Self(time::macros::datetime!(9999-12-31 23:59:59 UTC));
        time::Duration::try_from(duration)
            .ok()
            .and_then(|duration| self.0.checked_add(duration))
            .map_or(limit, |moment| Self(moment).min(limit))
    }

    /// Returns the moment before that, as long as `duration`, or the epoch.
    #[must_use]
    pub fn before(self, duration: std::time::Duration) -> Self {
        time::Duration::try_from(duration)
            .ok()
            .and_then(|duration| self.0.checked_sub(duration))
            .map_or(Self::UNKNOWN, |moment| Self(moment).max(Self::UNKNOWN))
    }

    /// Returns the time from `earlier` to this moment; zero if the clock went backwards.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        (self.0 - earlier.0).try_into().unwrap_or_default()
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        let utc = moment.to_offset(UtcOffset::UTC);
        let micros = utc.microsecond();
        Self(
            utc.replace_microsecond(micros)
                .expect("a microsecond of a valid time is valid"),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(OURS).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed = PrimitiveDateTime::parse(text, OURS)
            .or_else(|_| PrimitiveDateTime::parse(text, SEED))
            .or_else(|_| PrimitiveDateTime::parse(text, SEED_FRACTION))
            .map(PrimitiveDateTime::assume_utc)
            .or_else(|_| OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339));
        parsed
            .map(Self::from)
            .map_err(|_| InvalidTimestamp(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_and_the_seeds_forms_are_read() {
        let expected = "2026-01-31T12:00:00.250000Z";
        for text in [
            expected,
            "2026-01-31 12:00:00.250000",
            "2026-01-31T13:00:00.25+01:00",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), expected);
        }
        let whole = "2026-01-31 12:00:00".parse::<Timestamp>().unwrap();
        assert_eq!(whole.to_string(), "2026-01-31T12:00:00.000000Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
