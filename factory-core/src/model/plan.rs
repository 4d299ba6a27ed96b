//! The plan: what the model means to do, step by step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StepId;

/// One item of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The step's number, never reused within a run.
    pub id: StepId,
    /// What is to be done, in one line.
    pub title: String,
}

/// The steps that lead to the goal, in order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The steps in the order in which they are done.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The most steps that a plan may have; what a model lists beyond is refused.
    pub const MAX_STEPS: usize = 50;

    /// Returns a plan whose steps are numbered from `first`.
    pub fn numbered(first: u32, titles: impl IntoIterator<Item = String>) -> Self {
        let steps = (first..)
            .zip(titles)
            .map(|(number, title)| Step {
                id: StepId(number),
                title,
            })
            .collect();
        Self { steps }
    }

    /// Returns the step with the number `id`.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }
}
