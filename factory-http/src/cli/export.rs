//! `factory export`: a run as one file that plays again, and that can be given away.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use factory_core::factory::{Existing, Exported};
use factory_core::model::RunId;

use super::{Context, expect_answer};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::sanitize;

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The run's number
    run: RunId,
    /// The file [default: `run-NUMBER.jsonl` in this folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces a file that is there already
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let output = self
            .output
            .unwrap_or_else(|| PathBuf::from(format!("run-{}.jsonl", self.run)));
        // Whoever writes it works in another folder.
        let output = std::path::absolute(&output)
            .map_err(|error| Failure::usage(format!("`{}` is no file: {error}", output.display())))?;
        let request = Request::Export {
            run: self.run,
            output,
            existing: if self.force {
                Existing::Replaced
            } else {
                Existing::Kept
            },
        };
        let exported = expect_answer!(context.look(request).await?, Exported)?;
        context.output.show(&exported, || told(&exported))?;
        Ok(Exit::Complete)
    }
}

/// Returns what was written and what was left out, for people.
fn told(exported: &Exported) -> String {
    let path = shown(&exported.path);
    let mut text = format!(
        "wrote {path}: {} model calls, {} events, {} bytes\n",
        exported.calls, exported.events, exported.bytes
    );
    if exported.removed.is_empty() {
        text.push_str("nothing that looks like a secret was in it\n");
    } else {
        let kinds: Vec<String> = exported
            .removed
            .iter()
            .map(|(kind, count)| format!("{kind} ({count})"))
            .collect();
        let _ = writeln!(text, "taken out: {}", kinds.join(", "));
    }
    if exported.calls_told_anew > 0 {
        let _ = writeln!(
            text,
            "{} of the calls were made by an older factory, so a replay may differ there",
            exported.calls_told_anew
        );
    }
    text.push_str("It holds the goal, the conversation, and what was read of your code: look through it before you give it away.\n");
    let _ = write!(
        text,
        "It plays again with --model 'recorded:{path}', in the same repository."
    );
    text
}

fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exported: &Exported, expect: &str) {
        assert_eq!(told(exported), expect);
    }

    #[test]
    fn what_was_taken_out_is_listed_by_kind_and_count() {
        let exported = Exported {
            path: "/r/run-3.jsonl".into(),
            bytes: 1234,
            calls: 4,
            calls_told_anew: 0,
            events: 30,
            removed: std::collections::BTreeMap::new(),
        };
        let rest = "It holds the goal, the conversation, and what was read of your code: look through it before you give \
                    it away.\nIt plays again with --model 'recorded:/r/run-3.jsonl', in the same repository.";
        check(
            &exported,
            &format!(
                "wrote /r/run-3.jsonl: 4 model calls, 30 events, 1234 bytes\nnothing that looks like a secret was in it\n{rest}"
            ),
        );
        let removed = [("home", 2), ("password", 1)].map(|(kind, count)| (kind.to_owned(), count));
        let exported = Exported {
            calls_told_anew: 1,
            removed: removed.into(),
            ..exported
        };
        check(
            &exported,
            &format!(
                "wrote /r/run-3.jsonl: 4 model calls, 30 events, 1234 bytes\ntaken out: home (2), password (1)\n1 of the \
                 calls were made by an older factory, so a replay may differ there\n{rest}"
            ),
        );
    }
}
