//! Ids of tool calls that are unique within a reply, whatever the server gave.

use std::collections::HashSet;

use super::ToolCall;

/// Makes up the ids that are missing and tells apart those that are not unique.
pub(super) fn with_unique_ids(mut calls: Vec<ToolCall>) -> Vec<ToolCall> {
    // What the server gave stays, so that made-up ids cannot push a real one aside.
    let mut taken: HashSet<String> = calls
        .iter()
        .map(|call| call.id.clone())
        .filter(|id| !id.is_empty())
        .collect();
    let mut given: HashSet<String> = HashSet::new();
    for (number, call) in calls.iter_mut().enumerate() {
        if !call.id.is_empty() && given.insert(call.id.clone()) {
            continue;
        }
        let mut id = if call.id.is_empty() {
            format!("call-{number}")
        } else {
            format!("{}-{number}", call.id)
        };
        while taken.contains(&id) {
            id.push('-');
        }
        taken.insert(id.clone());
        call.id = id;
    }
    calls
}
