//! Numbers, times and budgets as people write and read them.

use std::time::Duration;

use factory_core::model::{Budget, BudgetLimit, Usage};

/// Returns the number with its thousands set apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the duration in its one or two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{}ms", duration.as_millis()),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two((minutes, "m"), (seconds % 60, "s")),
        (0, hours, minutes) => two((hours, "h"), (minutes, "m")),
        (days, hours, _) => two((days, "d"), (hours, "h")),
    }
}

/// Returns the milliseconds in their one or two largest units.
pub(crate) fn milliseconds(milliseconds: u64) -> String {
    duration(Duration::from_millis(milliseconds))
}

/// Returns a number of bytes in the largest unit that fits, as vendors of disks count.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1000, "kB"),
    ];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Returns the number of things with the right ending.
pub(crate) fn count(count: u64, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", number(count))
}

/// Returns a budget in one line.
pub(crate) fn budget(budget: &Budget) -> String {
    let bound = |limit, thing: &str| match limit {
        BudgetLimit::Unlimited => format!("unlimited {thing}s"),
        BudgetLimit::AtMost(most) => count(most, thing),
    };
    let work = match budget.work_ms {
        BudgetLimit::Unlimited => "unlimited work time".to_owned(),
        BudgetLimit::AtMost(most) => format!("{} of work", milliseconds(most)),
    };
    format!(
        "{}, {}, {work}, {}",
        bound(budget.calls, "model call"),
        bound(budget.tokens, "token"),
        bound(budget.turns, "turn"),
    )
}

/// Returns what was spent, each beside its bound.
pub(crate) fn usage(usage: &Usage, budget: &Budget) -> String {
    let of = |limit, written: fn(u64) -> String| match limit {
        BudgetLimit::Unlimited => "unlimited".to_owned(),
        BudgetLimit::AtMost(most) => written(most),
    };
    let estimated = match usage.estimated_tokens {
        0 => String::new(),
        tokens => format!(" ({} estimated)", number(tokens)),
    };
    format!(
        "{} of {} model calls, {} of {} tokens{estimated}, {} of {} of work, {} of {} turns",
        number(usage.calls),
        of(budget.calls, number),
        number(usage.tokens()),
        of(budget.tokens, number),
        milliseconds(usage.work_ms),
        of(budget.work_ms, milliseconds),
        number(usage.turns),
        of(budget.turns, number),
    )
}

/// Reads a count such as `100`, `2_000_000`, `500k`, `2M`, or `unlimited`.
pub(crate) fn parse_count(text: &str) -> Result<BudgetLimit, String> {
    let wanted = || format!("`{text}` is not a number such as 100, 500k or 2M, nor `unlimited`");
    if text == "unlimited" {
        return Ok(BudgetLimit::Unlimited);
    }
    let (digits, factor) = match text.chars().last() {
        Some('k') => (&text[..text.len() - 1], 1000),
        Some('M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let count: u64 = digits.replace('_', "").parse().map_err(|_| wanted())?;
    count
        .checked_mul(factor)
        .map(BudgetLimit::AtMost)
        .ok_or_else(wanted)
}

/// Reads a time such as `90m`, `1h30m`, `45s`, `2d`, or `unlimited`, as milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<BudgetLimit, String> {
    let wanted = || format!("`{text}` is not a time such as 45s, 90m, 1h30m or 2d, nor `unlimited`");
    if text == "unlimited" {
        return Ok(BudgetLimit::Unlimited);
    }
    let mut milliseconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit())
            .ok_or_else(wanted)?;
        let count: u64 = rest[..digits].parse().map_err(|_| wanted())?;
        let unit = match rest[digits..].chars().next() {
            Some('s') => 1000,
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            Some('d') => 86_400_000,
            _ => return Err(wanted()),
        };
        let part = count.checked_mul(unit).ok_or_else(wanted)?;
        milliseconds = milliseconds.checked_add(part).ok_or_else(wanted)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() {
        return Err(wanted());
    }
    Ok(BudgetLimit::AtMost(milliseconds))
}

fn two(large: (u64, &str), small: (u64, &str)) -> String {
    match small.0 {
        0 => format!("{}{}", large.0, large.1),
        count => format!("{}{}{count}{}", large.0, large.1, small.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_are_read_strictly() {
        assert_eq!(parse_count("2_000"), Ok(BudgetLimit::AtMost(2000)));
        assert_eq!(parse_count("500k"), Ok(BudgetLimit::AtMost(500_000)));
        assert_eq!(parse_count("2M"), Ok(BudgetLimit::AtMost(2_000_000)));
        assert_eq!(parse_count("unlimited"), Ok(BudgetLimit::Unlimited));
        for bad in [
            "",
            "k",
            "-1",
            "1.5M",
            "Unlimited",
            "99999999999999999999",
            "99999999999999999M",
            "ä",
        ] {
            assert!(parse_count(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_time("1h30m"), Ok(BudgetLimit::AtMost(5_400_000)));
        assert_eq!(parse_time("45s"), Ok(BudgetLimit::AtMost(45_000)));
        assert_eq!(parse_time("unlimited"), Ok(BudgetLimit::Unlimited));
        for bad in [
            "",
            "5",
            "h",
            "1w",
            "1h5",
            "99999999999999999999d",
            "99999999999999d",
            "1ä",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
        assert_eq!(duration(Duration::from_millis(12)), "12ms");
        assert_eq!(duration(Duration::from_secs(3661)), "1h1m");
        assert_eq!(
            budget(&Budget::default()),
            "100 model calls, 2,000,000 tokens, 2h of work, 100 turns"
        );
        let spent = Usage {
            calls: 3,
            prompt_tokens: 4000,
            completion_tokens: 500,
            estimated_tokens: 20,
            work_ms: 61_000,
            turns: 3,
            ..Usage::default()
        };
        let budget = Budget {
            tokens: BudgetLimit::Unlimited,
            ..Budget::default()
        };
        assert_eq!(
            usage(&spent, &budget),
            "3 of 100 model calls, 4,500 of unlimited tokens (20 estimated), 1m1s of 2h of work, 3 of 100 turns"
        );
    }
}
