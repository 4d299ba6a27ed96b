//! What a model sees of the repository before it acts: a map, and what is in the files that matter.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::Driver;
use crate::agent::prompt::Surroundings;
use crate::context::{self, Survey, SurveyRequest};
use crate::error::Error;

/// How long a repository may be looked at; what is known by then is shown.
const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// The most bytes that a survey takes, and the share of the prompt's room, in percent.
const MOST: usize = 24 << 10;
const SHARE: usize = 40;

impl Driver {
    /// Returns the map of the repository with the files that the goal, the checks and their output name, as far as a
    /// share of the prompt's room goes.
    pub(super) async fn survey(&self, surroundings: &Surroundings) -> Result<String, Error> {
        let goal = self.state.goal.clone();
        let checks = surroundings.checks.clone();
        let mut failing = String::new();
        let red = self.state.base_check.iter().flat_map(|check| &check.results);
        for result in red.filter(|result| !result.ok) {
            let output = surroundings.base_outputs.get(&result.output);
            let _ = writeln!(failing, "{}", output.map_or("", String::as_str));
        }
        // A token is about three bytes.
        let room = self.room().map_or(MOST, |tokens| {
            usize::try_from(tokens).unwrap_or(MOST).saturating_mul(3) * SHARE / 100
        });
        let budget = room.min(MOST);
        let until = Instant::now() + LOOK_WITHIN;
        let looked = self
            .with_files(move |files| {
                let request = SurveyRequest {
                    goal: &goal,
                    checks: &checks,
                    failing: &failing,
                    budget,
                };
                context::survey(files, &request, &|| Instant::now() > until)
            })
            .await?;
        match looked {
            Ok(survey) if self.state.is_led() => Ok(plain(&survey)),
            Ok(survey) => Ok(survey.text()),
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "the repository could not be looked at for the prompt");
                Ok(String::new())
            }
        }
    }
}

/// Returns the survey in the dress of the examples that a led model follows: names without remarks.
fn plain(survey: &Survey) -> String {
    let blocks = survey.blocks.iter().map(|block| {
        if block.file.is_none() {
            let lines = block
                .text
                .lines()
                .map(|line| line.trim_end_matches(" (whole below)"));
            return lines.collect::<Vec<_>>().join("\n") + "\n";
        }
        match block.text.split_once('\n') {
            Some((heading, rest)) => format!("{}\n{rest}", heading.replace(" (whole):", ":")),
            None => block.text.clone(),
        }
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Block;
    use crate::workspace::RepoPath;

    #[test]
    fn a_led_model_sees_names_without_remarks() {
        let survey = Survey {
            blocks: vec![
                Block {
                    file: None,
                    text: "Files:\na.py (whole below)\nb.py\n".to_owned(),
                },
                Block {
                    file: RepoPath::parse("a.py").ok(),
                    text: "a.py (whole):\n```\nx (whole):\n```\n".to_owned(),
                },
            ],
            ..Survey::default()
        };
        assert_eq!(
            plain(&survey),
            "Files:\na.py\nb.py\n\na.py:\n```\nx (whole):\n```\n"
        );
    }
}
