//! Bounds how many credentials that do not hold are answered in full. Those that hold are never held up by it: whoever
//! guesses locks nobody out, and gains nothing but a fuller log anyway.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use poem::http::StatusCode;
use poem::web::RemoteAddr;

use crate::problem::Problem;

/// After how many failures those who have not failed lately are forgotten.
const TIDY_EVERY: u32 = 1024;

/// How many failures are answered in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FailureQuota {
    /// At once.
    pub(crate) burst: NonZeroU32,
    /// Each second after that.
    pub(crate) per_second: NonZeroU32,
}

impl Default for FailureQuota {
    fn default() -> Self {
        Self {
            burst: NonZeroU32::new(60).expect("60 is not 0"),
            per_second: NonZeroU32::MIN,
        }
    }
}

/// The failures of late, by address.
#[derive(Debug)]
pub(crate) struct Failures {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    counted: AtomicU32,
}

impl Failures {
    /// Returns a record without failures.
    pub(crate) fn new(quota: FailureQuota) -> Self {
        let quota = Quota::per_second(quota.per_second).allow_burst(quota.burst);
        Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            counted: AtomicU32::new(0),
        }
    }

    /// Counts a failure, and refuses to say more of it where there were too many from that address.
    pub(crate) fn count(&self, from: &RemoteAddr) -> Result<(), Problem> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let address = from
            .as_socket_addr()
            .map_or(IpAddr::from([0, 0, 0, 0]), std::net::SocketAddr::ip);
        self.limiter.check_key(&network(address)).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failures",
                "too many requests with credentials that do not hold; mend the credential, then try again",
            )
            .retry_after(wait.as_secs() + 1)
        })
    }
}

/// Returns what one peer has: an address of IPv4, or a network of IPv6, of which each household has a whole one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::Addr;

    use super::*;

    fn from(address: &str) -> RemoteAddr {
        RemoteAddr(Addr::SocketAddr(address.parse().unwrap()))
    }

    #[test]
    fn failures_are_counted_by_peer() {
        let failures = Failures::new(FailureQuota {
            burst: NonZeroU32::new(2).unwrap(),
            per_second: NonZeroU32::MIN,
        });
        for _ in 0..2 {
            failures.count(&from("[2001:db8::1]:1")).unwrap();
        }
        let refused = failures.count(&from("[2001:db8::2]:9")).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        failures.count(&from("[2001:db8:0:1::1]:1")).unwrap();
        failures.count(&from("10.0.0.1:1")).unwrap();
    }
}
