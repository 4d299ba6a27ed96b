//! How a reply is drawn from what a model finds likely.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a reply is drawn. What is not said is left to the model's server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sampling {
    /// The number from which chance is drawn, for servers that take one; the same one makes the same reply likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How freely it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
}

impl Sampling {
    /// Returns whether everything is left to the server.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A temperature from 0 (always the likeliest) to 2, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(u8);

impl Temperature {
    /// Returns the temperature of so many hundredths, at most 200.
    pub const fn hundredths(hundredths: u8) -> Self {
        Self(if hundredths > 200 { 200 } else { hundredths })
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        Self::from(temperature.0) / 100.0
    }
}

impl TryFrom<f64> for Temperature {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        let hundredths = (value * 100.0).round();
        if !(0.0..=200.0).contains(&hundredths) {
            return Err(format!("{value} is no temperature; it is a number from 0 to 2"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just seen to lie between 0 and 200"
        )]
        Ok(Self(hundredths as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_is_a_bounded_number() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.7", Some(0.7)),
            ("2", Some(2.0)),
            ("2.1", None),
            ("-0.1", None),
        ] {
            let read: Result<Temperature, _> = serde_json::from_str(text);
            assert_eq!(read.ok().map(f64::from), expected, "{text}");
        }
        assert_eq!(Temperature::hundredths(255), Temperature::hundredths(200));
    }

    #[test]
    fn nothing_said_is_written_as_nothing() {
        assert_eq!(serde_json::to_string(&Sampling::default()).unwrap(), "{}");
    }
}
