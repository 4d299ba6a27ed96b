//! What a led model's calls are held to before they are carried out, and what it is told to try next.

use std::collections::BTreeMap;

use super::Driver;
use crate::agent::dialect::EXAMPLE_FILES;
use crate::agent::sensitive::decides;
use crate::error::Error;
use crate::tools::{Refusal, WriteRequest};
use crate::workspace::RepoPath;
use crate::workspace::edit::{EditFormat, EditSkill, FormatChoice, MAX_FILE, edit_format};

impl Driver {
    /// Says with a refused edit in which format a led model should try next.
    pub(super) async fn with_format(&self, mut refusal: Refusal) -> Result<Refusal, Error> {
        let Some(path) = refusal
            .failed_edit
            .as_deref()
            .and_then(|path| RepoPath::parse(path).ok())
        else {
            return Ok(refusal);
        };
        let count =
            |failures: &BTreeMap<String, u32>| failures.get(path.as_str()).copied().unwrap_or_default();
        let (failed_edits, refused_wholes) =
            (count(&self.state.failed_edits), count(&self.state.refused_wholes));
        let looked_at = path.clone();
        let content = self
            .with_files(move |files| files.read(&looked_at, MAX_FILE).ok())
            .await?;
        let content = content.map(|content| content.bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let format = edit_format(&FormatChoice {
            file_lines: text.lines().count(),
            skill: EditSkill::Unproven,
            failed_edits,
            refused_wholes,
            whole_fits: crate::context::estimate(&text) < self.reply_tokens(),
        });
        let next = match format {
            EditFormat::Whole => {
                format!(
                    "\nAnswer with FILE: {path} and the whole file, or whole functions of it, in a block."
                )
            }
            _ => format!(
                "\nAnswer with EDIT: {path}, then <<<<<<< SEARCH, the lines that are there, =======, the new lines, >>>>>>> REPLACE."
            ),
        };
        refusal.text.push_str(&next);
        Ok(refusal)
    }

    /// Refuses a led model's first change of what decides whether it is done, unless the goal speaks of that very file:
    /// small models turn to whatever file an error names, and nothing that they reach so is committed by itself. So is a
    /// file of the examples that is not there.
    pub(super) fn spares_the_proof(&self, request: &WriteRequest) -> Option<Refusal> {
        let mut unasked = request
            .files
            .iter()
            .filter(|file| !self.state.goal.contains(file.path.file_name()));
        let (path, text) = unasked.find_map(|file| {
            let path = &file.path;
            if self.state.refused_wholes.contains_key(path.as_str())
                || self.state.failed_edits.contains_key(path.as_str())
            {
                // Who insists has a reason; the operator will be asked about such a result.
                return None;
            }
            if file.before.is_none() {
                let is_example = EXAMPLE_FILES.contains(&path.as_str()) && file.after.is_some();
                return is_example.then(|| {
                    let text = format!(
                        "there is no `{path}` here, it was an example; change one of this repository's files"
                    );
                    (path, text)
                });
            }
            decides(path.as_str(), self.checks()).then(|| {
                let text = format!(
                    "`{path}` belongs to the checks and stays as it is; change the code that they look at"
                );
                (path, text)
            })
        })?;
        Some(Refusal {
            summary: text.clone(),
            text,
            denied: None,
            failed_edit: Some(path.to_string()),
            unchanged: None,
        })
    }
}
