//! What waits to be told to one receiver, and when each of it is tried. Pure: the moment is handed in.
//!
//! Two kinds of failure are told apart. A receiver that does not answer is not there for anybody, so that the whole line
//! rests. One that answers and refuses has something against this one thing, so that its run alone waits and the others
//! go on. What is told of one run keeps its order either way.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use factory_core::model::{EventId, RunId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The most that waits. While so much waits, no more is taken from the store, which has it anyway.
const MOST: usize = 64;

/// A receiver that was silent so many times in a row was gone. Once it answers, what it missed is tried at once.
const GONE: u32 = 3;

/// An event that is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) event: EventId,
    pub(super) run: RunId,
}

/// How long is waited between tries, and how long something is tried at all.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// The wait after the first failure. It doubles with each.
    pub(crate) first: Duration,
    /// The longest wait.
    pub(crate) longest: Duration,
    /// What happened longer ago than this is given up, ...
    pub(crate) keep: Duration,
    /// ... once it was tried for so long: the factory, or the machine, may have been off meanwhile.
    pub(crate) insist: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_mins(10),
            keep: Duration::from_hours(24),
            insist: Duration::from_hours(1),
        }
    }
}

impl Pace {
    /// Returns the wait after so many failures.
    fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Try this one.
    Try(Item),
    /// Nothing before this moment.
    At(Instant),
    /// Nothing waits.
    Nothing,
}

#[derive(Debug)]
struct Waiting {
    item: Item,
    failures: u32,
    first_try: Option<Instant>,
    last_try: Option<Instant>,
    not_before: Option<Instant>,
    /// Whether the receiver was there when it was tried last.
    answered: bool,
}

/// What waits, oldest first.
#[derive(Debug)]
pub(super) struct Line {
    pace: Pace,
    waiting: VecDeque<Waiting>,
    /// How many times in a row the receiver did not answer.
    silences: u32,
    /// The whole line rests until then.
    closed_until: Option<Instant>,
}

impl Line {
    pub(super) fn new(pace: Pace, items: impl IntoIterator<Item = Item>) -> Self {
        let mut line = Self {
            pace,
            waiting: VecDeque::new(),
            silences: 0,
            closed_until: None,
        };
        items.into_iter().for_each(|item| line.add(item));
        line
    }

    /// Returns whether more may be added.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// Adds what is newer than all that waits.
    pub(super) fn add(&mut self, item: Item) {
        self.waiting.push_back(Waiting {
            item,
            failures: 0,
            first_try: None,
            last_try: None,
            not_before: None,
            answered: true,
        });
    }

    /// Returns what waits, oldest first.
    pub(super) fn items(&self) -> Vec<Item> {
        self.waiting.iter().map(|waiting| waiting.item).collect()
    }

    /// Returns what is to be done at this moment: the oldest of some run, and of these the one that was tried longest ago.
    pub(super) fn next(&self, now: Instant) -> Next {
        if let Some(until) = self.closed_until
            && until > now
            && !self.waiting.is_empty()
        {
            return Next::At(until);
        }
        let mut runs = HashSet::new();
        let heads = self
            .waiting
            .iter()
            .filter(move |waiting| runs.insert(waiting.item.run));
        let (due, later): (Vec<_>, Vec<_>) =
            heads.partition(|waiting| waiting.not_before.is_none_or(|moment| moment <= now));
        // `None`, what was never tried, comes before every moment; of equals the first is taken, which is the oldest.
        if let Some(waiting) = due.into_iter().min_by_key(|waiting| waiting.last_try) {
            return Next::Try(waiting.item);
        }
        let soonest = later.into_iter().filter_map(|waiting| waiting.not_before).min();
        soonest.map_or(Next::Nothing, Next::At)
    }

    /// Takes out what was told, or what there is no more use in telling.
    pub(super) fn remove(&mut self, item: Item) {
        self.waiting.retain(|waiting| waiting.item != item);
    }

    /// Notes that the receiver took something: it is there.
    pub(super) fn is_there(&mut self) {
        let was_gone = self.silences >= GONE;
        (self.silences, self.closed_until) = (0, None);
        if was_gone {
            for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.answered) {
                waiting.not_before = None;
            }
        }
    }

    /// Notes that the receiver refused this one; `at_least` is how long it wants to be left alone with it.
    pub(super) fn refused(&mut self, item: Item, at_least: Duration, now: Instant) {
        self.is_there();
        self.failed(item, at_least, now, true);
    }

    /// Notes that the receiver did not answer; `at_least` is how long it wants to be left alone.
    pub(super) fn unanswered(&mut self, item: Item, at_least: Duration, now: Instant) {
        self.silences = self.silences.saturating_add(1);
        self.closed_until = Some(now + self.pace.wait(self.silences).max(at_least));
        self.failed(item, at_least, now, false);
    }

    fn failed(&mut self, item: Item, at_least: Duration, now: Instant, answered: bool) {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.item == item) else {
            return;
        };
        waiting.failures = waiting.failures.saturating_add(1);
        waiting.first_try.get_or_insert(now);
        waiting.last_try = Some(now);
        waiting.not_before = Some(now + self.pace.wait(waiting.failures).max(at_least));
        waiting.answered = answered;
    }

    /// Returns whether this one was tried long enough; `age` is how long ago it happened.
    pub(super) fn is_spent(&self, item: Item, age: Duration, now: Instant) -> bool {
        let first_try = self
            .waiting
            .iter()
            .find(|waiting| waiting.item == item)
            .and_then(|waiting| waiting.first_try);
        age >= self.pace.keep && first_try.is_some_and(|first| now.duration_since(first) >= self.pace.insist)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(event: i64, run: i64) -> Item {
        Item {
            event: EventId(event),
            run: RunId(run),
        }
    }

    fn line(items: &[Item]) -> Line {
        Line::new(Pace::default(), items.iter().copied())
    }

    const NONE: Duration = Duration::ZERO;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_refusal_holds_up_its_own_run_alone() {
        let (one, two, other) = (item(1, 7), item(2, 7), item(3, 8));
        let now = Instant::now();
        let mut line = line(&[one, two, other]);
        assert_eq!(line.next(now), Next::Try(one));
        line.refused(one, NONE, now);
        assert_eq!(line.next(now), Next::Try(other));
        line.remove(other);
        line.is_there();
        assert_eq!(line.next(now), Next::At(now + seconds(5)));
        assert_eq!(line.next(now + seconds(5)), Next::Try(one));
        line.refused(one, NONE, now + seconds(5));
        assert_eq!(line.next(now + seconds(6)), Next::At(now + seconds(15)));
        line.remove(one);
        assert_eq!(line.next(now + seconds(6)), Next::Try(two));
        line.remove(two);
        assert_eq!(line.next(now + seconds(6)), Next::Nothing);
    }

    #[test]
    fn what_is_new_is_not_behind_what_fails() {
        let (bad, new) = (item(1, 7), item(2, 8));
        let now = Instant::now();
        let mut line = line(&[bad]);
        line.refused(bad, NONE, now);
        line.add(new);
        assert_eq!(line.next(now + seconds(60)), Next::Try(new));
    }

    #[test]
    fn silence_holds_up_everybody_and_ends_for_everybody() {
        let items = [item(1, 1), item(2, 2), item(3, 3), item(4, 4)];
        let mut now = Instant::now();
        let mut line = line(&items);
        // A different one is tried each time: it may be this one that the receiver breaks on.
        for (item, wait) in items.iter().zip([5, 10, 20]) {
            assert_eq!(line.next(now), Next::Try(*item));
            line.unanswered(*item, NONE, now);
            assert_eq!(line.next(now), Next::At(now + seconds(wait)));
            now += seconds(wait);
        }
        assert_eq!(line.next(now), Next::Try(items[3]));
        line.refused(items[3], NONE, now);
        // It is back: what it missed is tried at once, in order, and what it refused waits.
        for item in &items[..3] {
            assert_eq!(line.next(now), Next::Try(*item));
            line.remove(*item);
            line.is_there();
        }
        assert_eq!(line.next(now), Next::At(now + seconds(5)));
    }

    #[test]
    fn what_a_receiver_breaks_on_is_not_tried_with_every_other() {
        let bad = item(1, 1);
        let now = Instant::now();
        let mut line = line(&[bad, item(2, 2)]);
        line.unanswered(bad, NONE, now);
        line.remove(item(2, 2));
        line.is_there();
        assert_eq!(line.next(now), Next::At(now + seconds(5)));
    }

    #[test]
    fn waits_grow_to_a_bound_or_to_what_the_receiver_asks_for() {
        let pace = Pace::default();
        let waits: Vec<_> = [1, 2, 3, 8, 40, u32::MAX]
            .map(|failures| pace.wait(failures))
            .into();
        assert_eq!(waits, [5, 10, 20, 600, 600, 600].map(seconds));
        let (one, now) = (item(1, 1), Instant::now());
        let mut line = line(&[one]);
        line.refused(one, seconds(77), now);
        assert_eq!(line.next(now), Next::At(now + seconds(77)));
    }

    #[test]
    fn old_things_are_given_up_once_they_were_tried_for_a_while() {
        let (one, now) = (item(1, 1), Instant::now());
        let mut line = line(&[one]);
        let day = seconds(86_400);
        assert!(!line.is_spent(one, day * 9, now), "never tried");
        line.refused(one, NONE, now);
        assert!(!line.is_spent(one, day * 9, now + seconds(3599)));
        assert!(!line.is_spent(one, seconds(86_399), now + seconds(3600)));
        assert!(line.is_spent(one, day, now + seconds(3600)));
    }

    #[test]
    fn a_line_is_bounded() {
        let mut line = line(&[]);
        let mut event = 0;
        while line.has_room() {
            event += 1;
            line.add(item(event, event));
            assert!(event <= 64);
        }
        line.remove(item(1, 1));
        assert!(line.has_room());
    }
}
