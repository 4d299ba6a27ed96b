//! What the operating system says of this process, under the names that the clients of Prometheus agree on.

use std::fs;

use super::exposition::{Exposition, Kind};

/// What was read of `/proc` at one moment. What could not be read is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ProcessUse {
    /// Processor time of all threads, in seconds.
    cpu_seconds: Option<f64>,
    /// Memory in use, in bytes.
    resident_bytes: Option<u64>,
    /// When it started, in seconds since 1970.
    started_at: Option<f64>,
    /// Open descriptors.
    open_descriptors: Option<usize>,
    /// How many there may be.
    max_descriptors: Option<u64>,
}

impl ProcessUse {
    /// Reads it. Blocks for as long as `/proc` takes: well under a millisecond, more with ten thousand descriptors.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(Stat::parse);
        let ticks = |count: u64| seconds(count) / seconds(rustix::param::clock_ticks_per_second());
        let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
        Self {
            cpu_seconds: stat.map(|stat| ticks(stat.cpu_ticks)),
            resident_bytes: stat.map(|stat| stat.resident_pages.saturating_mul(page)),
            started_at: stat.and_then(|stat| Some(booted_at()? + ticks(stat.start_ticks))),
            // The descriptor that reads the folder is not one of ours.
            open_descriptors: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| entries.count().saturating_sub(1)),
            max_descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }

    /// Writes what is known.
    pub(super) fn write(&self, text: &mut Exposition) {
        text.one(
            "process_cpu_seconds_total",
            Kind::Counter,
            "Processor time of all threads, in seconds.",
            self.cpu_seconds,
        );
        text.one(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory in use, in bytes.",
            self.resident_bytes,
        );
        text.one(
            "process_start_time_seconds",
            Kind::Gauge,
            "When the process started, in seconds since 1970.",
            self.started_at,
        );
        text.one(
            "process_open_fds",
            Kind::Gauge,
            "Open descriptors.",
            self.open_descriptors,
        );
        text.one(
            "process_max_fds",
            Kind::Gauge,
            "How many descriptors may be open.",
            self.max_descriptors,
        );
    }
}

/// The parts of `/proc/self/stat` that are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, which may hold anything.
        let (_, text) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        // The numbers are those of proc_pid_stat(5), of which two fields are gone.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            start_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

/// Returns when the machine started, in seconds since 1970.
fn booted_at() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok().map(seconds)
}

#[expect(clippy::cast_precision_loss, reason = "a number of ticks is far below 2^52")]
fn seconds(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let text =
            "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 98765 1000000 321 184467";
        assert_eq!(
            Stat::parse(text),
            Some(Stat {
                cpu_ticks: 300,
                start_ticks: 98765,
                resident_pages: 321
            })
        );
        assert_eq!(Stat::parse("42 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_is_read() {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let used = ProcessUse::read();
        assert!(used.cpu_seconds.unwrap() < 1e6, "{used:?}");
        assert!(used.resident_bytes.unwrap() > 1 << 20, "{used:?}");
        // The clock may have been set since the machine started, by less than a day.
        let age = now - used.started_at.unwrap();
        assert!((-86_400.0..1e6).contains(&age), "{used:?} at {now}");
        let open = u64::try_from(used.open_descriptors.unwrap()).unwrap();
        assert!(
            open >= 3 && open <= used.max_descriptors.unwrap_or(u64::MAX),
            "{used:?}"
        );
    }
}
