//! Sums of usage.

use std::collections::BTreeMap;

use super::super::{Page, UsageFilter, UsageGroup, UsageTotal, totals};
use super::State;
use crate::model::{Run, Timestamp, Usage};

impl State {
    pub(super) fn count_filed(&mut self, run: &Run, at: Timestamp) {
        self.spent.entry(totals::place_of(run, at)).or_default().0 += 1;
    }

    pub(super) fn count_change(&mut self, before: &Run, after: &Run, at: Timestamp) {
        if before.usage != after.usage {
            let spent = totals::spent(&before.usage, &after.usage);
            self.spent
                .entry(totals::place_of(after, at))
                .or_default()
                .1
                .add(&spent);
        }
    }

    pub(super) fn sum_usage(
        &self,
        group: UsageGroup,
        filter: &UsageFilter,
        page: &Page<String>,
    ) -> Vec<UsageTotal> {
        let mut sums = BTreeMap::<String, (u64, Usage)>::new();
        for ((day, project, model), (runs, usage)) in &self.spent {
            let wanted = filter.from.as_ref().is_none_or(|from| day >= from)
                && filter.until.as_ref().is_none_or(|until| day <= until)
                && filter.project_id.is_none_or(|id| id.0 == *project);
            if !wanted {
                continue;
            }
            let key = match group {
                UsageGroup::Day => day.clone(),
                UsageGroup::Project => project.to_string(),
                UsageGroup::Model => model.clone(),
            };
            let sum = sums.entry(key).or_default();
            sum.0 += runs;
            sum.1.add(usage);
        }
        sums.into_iter()
            .filter(|(key, _)| page.after.as_ref().is_none_or(|after| key > after))
            .take(page.bounded_limit() as usize)
            .map(|(key, (runs, usage))| UsageTotal { key, runs, usage })
            .collect()
    }
}
