//! Which queued run is taken up next: pure rules over what waits and what is being worked on.
//!
//! Runs wait in *buckets*, one for each model server and project. The store gives the first run of each bucket, so that
//! the choice costs the same however many wait behind them, and one slow model holds up its own bucket alone.

use std::collections::{HashMap, HashSet};

use crate::llm::endpoint::Endpoints;
use crate::model::ProjectId;
use crate::store::QueueHead;

/// How many runs are worked on at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// In all. A run costs little while it waits for its model, so that this is more than the cores.
    pub factory: usize,
    /// Of one project.
    pub per_project: usize,
    /// Of one model server. None takes twice what the server answers at a time: while one run is checked, another one
    /// asks.
    pub per_server: Option<usize>,
}

impl Default for Limits {
    /// 100 in all, 16 of a project, and of a model server twice what it answers at a time.
    fn default() -> Self {
        Self {
            factory: 100,
            per_project: 16,
            per_server: None,
        }
    }
}

/// What is being worked on in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    pub(crate) all: usize,
    pub(crate) by_project: HashMap<ProjectId, usize>,
    pub(crate) by_server: HashMap<String, usize>,
}

impl Load {
    /// Adds one run.
    pub(crate) fn add(&mut self, project: Option<ProjectId>, server: Option<&str>) {
        self.all += 1;
        if let Some(project) = project {
            *self.by_project.entry(project).or_default() += 1;
        }
        if let Some(server) = server {
            *self.by_server.entry(server.to_owned()).or_default() += 1;
        }
    }
}

impl Limits {
    /// Returns the run that is taken up next: of those whose buckets have room, the one with the highest priority, and
    /// of these the one that was filed first. `held` are passed over. None where nothing waits, or nothing has room
    /// until something else ends.
    pub(crate) fn next<'a>(
        &self,
        heads: &'a [QueueHead],
        load: &Load,
        held: &HashSet<crate::model::RunId>,
        endpoints: &Endpoints,
    ) -> Option<&'a QueueHead> {
        if self.is_full(load.all) {
            return None;
        }
        let has_room = |head: &&QueueHead| {
            let in_project = head.project.map_or(0, |project| {
                load.by_project.get(&project).copied().unwrap_or_default()
            });
            let at_server = head.server.as_deref().map_or(0, |server| {
                load.by_server.get(server).copied().unwrap_or_default()
            });
            let server_bound = head
                .server
                .as_deref()
                .map_or(usize::MAX, |server| self.of_server(server, endpoints));
            in_project < self.per_project && at_server < server_bound
        };
        heads
            .iter()
            .filter(|head| !held.contains(&head.run))
            .filter(has_room)
            .min_by_key(|head| (std::cmp::Reverse(head.priority), head.run))
    }

    /// Returns whether so many runs are all that may be worked on, whatever waits.
    pub(crate) fn is_full(&self, working_on: usize) -> bool {
        working_on >= self.factory
    }

    fn of_server(&self, server: &str, endpoints: &Endpoints) -> usize {
        self.per_server
            .unwrap_or_else(|| 2 * endpoints.parallel_at(server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunId;

    fn head(run: i64, priority: i64, project: i64, server: Option<&str>) -> QueueHead {
        QueueHead {
            run: RunId(run),
            priority,
            project: Some(ProjectId(project)),
            server: server.map(str::to_owned),
        }
    }

    fn next(limits: &Limits, heads: &[QueueHead], load: &Load, held: &[i64]) -> Option<i64> {
        let held = held.iter().copied().map(RunId).collect();
        let next = limits.next(heads, load, &held, &Endpoints::built_in());
        next.map(|head| head.run.0)
    }

    #[test]
    fn priority_goes_before_age_and_what_has_no_room_is_passed_over() {
        let heads = [
            head(1, 0, 1, Some("ollama")),
            head(2, 0, 1, Some("openai")),
            head(3, 5, 2, Some("ollama")),
            head(4, 0, 3, None),
        ];
        let limits = Limits::default();
        let none = Load::default();
        assert_eq!(next(&limits, &heads, &none, &[]), Some(3));
        assert_eq!(next(&limits, &heads, &none, &[3]), Some(1));
        // Ollama answers one at a time, so that two runs of it fill its bucket.
        let mut busy = Load::default();
        busy.add(Some(ProjectId(9)), Some("ollama"));
        assert_eq!(next(&limits, &heads, &busy, &[]), Some(3));
        busy.add(Some(ProjectId(9)), Some("ollama"));
        assert_eq!(
            next(&limits, &heads, &busy, &[]),
            Some(2),
            "the slow server is passed over"
        );
        // A full project is passed over too.
        for _ in 0..16 {
            busy.add(Some(ProjectId(1)), None);
        }
        assert_eq!(next(&limits, &heads, &busy, &[]), Some(4));
        let small = Limits {
            factory: 18,
            ..limits
        };
        assert_eq!(next(&small, &heads, &busy, &[]), None, "the factory is full");
        assert_eq!(next(&Limits::default(), &[], &none, &[]), None);
    }

    #[test]
    fn the_operators_bound_of_a_server_wins() {
        let heads = [head(1, 0, 1, Some("ollama"))];
        let mut load = Load::default();
        for _ in 0..7 {
            load.add(None, Some("ollama"));
        }
        let limits = |per_server| Limits {
            per_server: Some(per_server),
            ..Limits::default()
        };
        assert_eq!(next(&limits(8), &heads, &load, &[]), Some(1));
        assert_eq!(next(&limits(7), &heads, &load, &[]), None);
    }
}
