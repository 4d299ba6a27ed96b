//! Lists as tables.

use factory_core::factory::Finding;
use factory_core::model::{Project, Run};

use super::sanitize;

/// Returns runs as a table, newest first as they come.
pub(crate) fn runs(runs: &[Run], project_name: impl Fn(&Run) -> Option<String>) -> String {
    let rows = runs.iter().map(|run| {
        let status = match run.reason {
            Some(reason) if !run.status.is_final() => format!("{} ({reason})", run.status),
            _ => run.status.to_string(),
        };
        let created = run.created_at.to_string();
        vec![
            run.id.to_string(),
            status,
            project_name(run).map_or_else(|| "-".to_owned(), |name| sanitize::short(&name, 24)),
            created.get(..16).unwrap_or(&created).replace('T', " "),
            sanitize::short(&run.goal, 60),
        ]
    });
    columns(&["RUN", "STATUS", "PROJECT", "FILED (UTC)", "GOAL"], rows)
}

/// Returns projects as a table.
pub(crate) fn projects(projects: &[Project]) -> String {
    let rows = projects.iter().map(|project| {
        vec![
            project.id.to_string(),
            sanitize::short(&project.name, 32),
            sanitize::line(&project.local_path.display().to_string()).into_owned(),
            sanitize::short(&project.settings.checks.join("; "), 60),
        ]
    });
    columns(&["PROJECT", "NAME", "REPOSITORY", "CHECKS"], rows)
}

/// Returns what the doctor found.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let widest = findings
        .iter()
        .map(|finding| finding.subject.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let mark = if finding.ok { '✓' } else { '✗' };
        let subject = sanitize::line(&finding.subject);
        lines.push(format!(
            "{mark} {subject:<widest$}  {}",
            sanitize::line(&finding.found)
        ));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("  {:<widest$}  → {}", "", sanitize::line(remedy)));
        }
    }
    lines.join("\n")
}

/// Returns rows below their headings, each column as wide as its widest cell but the last, which is as it is.
pub(super) fn columns(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = vec![
        headings
            .iter()
            .map(|&heading| heading.to_owned())
            .collect::<Vec<_>>(),
    ];
    table.extend(rows);
    let mut widths = vec![0; headings.len()];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines: Vec<_> = table
        .iter()
        .map(|row| {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn runs_are_listed_safely() {
        let run = samples::view("PAUSED", Some("stuck"), serde_json::Value::Null).run;
        insta::assert_snapshot!(runs(&[run], |_| Some("greet\u{1b}er".to_owned())), @r"
        RUN  STATUS          PROJECT      FILED (UTC)       GOAL
        1    PAUSED (stuck)  greet\x1ber  2026-01-31 12:00  make the greeting friendly
        ");
    }

    #[test]
    fn findings_name_the_remedy() {
        let finding = |subject: &str, ok, remedy: Option<&str>| Finding {
            subject: subject.to_owned(),
            ok,
            found: "found".to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        insta::assert_snapshot!(findings(&[finding("git", true, None), finding("sandbox", false, Some("install bubblewrap"))]), @r"
        ✓ git      found
        ✗ sandbox  found
                   → install bubblewrap
        ");
    }
}
