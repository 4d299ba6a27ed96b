//! The words for what happened before the run, or beside it: the work that it begins with, and the operator's comments.

use std::fmt::Write as _;

use super::super::state::State;
use crate::model::{Comment, Side};

/// Returns what a run is told that begins with the work of another one; none for a run that begins with its base.
pub(super) fn work(state: &State) -> Option<String> {
    let start = state.start()?;
    let mut text = "An earlier run has worked on this, and what it did is in the files already. Look at it before you change anything, and go on from there.".to_owned();
    if !start.done.is_empty() || !start.left.is_empty() {
        text.push_str("\nIts plan was:");
    }
    let done = start.done.iter().map(|title| (title, "done"));
    let left = start.left.iter().map(|title| (title, "to do"));
    for (title, mark) in done.chain(left) {
        let _ = write!(text, "\n- {title} ({mark})");
    }
    Some(text)
}

/// Returns a comment as the agent hears it.
pub(in crate::agent) fn comment(comment: &Comment) -> String {
    let said = comment.text.trim();
    let line = match (comment.line, comment.side) {
        (Some(line), Side::New) => format!(" line {line}"),
        (Some(line), Side::Old) => format!(" line {line} as it was before the change"),
        (None, _) => String::new(),
    };
    match &comment.path {
        Some(path) => format!("on {path}{line}: {said}"),
        None => format!("on the changes: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_its_place() {
        let on = |path: Option<&str>, line, side| {
            comment(&Comment {
                path: path.map(str::to_owned),
                line,
                side,
                text: "use tabs\n".to_owned(),
            })
        };
        let heard = [
            on(Some("src/x.rs"), Some(3), Side::New),
            on(Some("src/x.rs"), Some(3), Side::Old),
            on(Some("src/x.rs"), None, Side::New),
            on(None, None, Side::New),
        ];
        assert_eq!(
            heard,
            [
                "on src/x.rs line 3: use tabs",
                "on src/x.rs line 3 as it was before the change: use tabs",
                "on src/x.rs: use tabs",
                "on the changes: use tabs",
            ]
        );
    }
}
