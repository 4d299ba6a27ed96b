//! A project, and how its registration went.

use factory_core::factory::{CommandReport, ProjectAdded};
use factory_core::model::{Project, SetupNetwork};

use super::amount::milliseconds;
use super::sanitize;

/// How many lines of a failed command's output are shown.
const OUTPUT_LINES: usize = 20;

/// Returns what the operator declared for a project.
pub(crate) fn project(project: &Project) -> String {
    let settings = &project.settings;
    let mut lines = vec![
        format!("project {}: {}", project.id, sanitize::line(&project.name)),
        format!(
            "  repository  {}",
            sanitize::line(&project.local_path.display().to_string())
        ),
        format!(
            "  base        {}",
            settings
                .base_ref
                .as_deref()
                .map_or("the repository's current branch".into(), sanitize::line)
        ),
    ];
    if let Some(folder) = &settings.folder {
        lines.insert(2, format!("  folder      {}", sanitize::line(folder)));
    }
    lines.extend(commands("setup", &settings.setup, "none"));
    if settings.setup_network == SetupNetwork::Host {
        lines.push("              with the host's network".to_owned());
    }
    let none = "none: nothing can be proven; `factory project set` takes --check";
    lines.extend(commands("checks", &settings.checks, none));
    if let Some(instructions) = &settings.instructions {
        lines.push("  instructions".to_owned());
        lines.extend(
            sanitize::block(instructions)
                .lines()
                .map(|line| format!("    {line}")),
        );
    }
    lines.join("\n")
}

/// Returns how a registration went.
pub(crate) fn added(added: &ProjectAdded) -> String {
    let mut lines = vec![project(&added.project)];
    if added.initialised {
        lines.push("the folder was made a repository, with everything in it as the first commit".to_owned());
    }
    lines.extend(
        added
            .notes
            .iter()
            .map(|note| format!("note: {}", sanitize::line(note))),
    );
    if let Some(setup) = &added.setup {
        let took = milliseconds(setup.work_ms);
        let how = if setup.reused {
            "kept result taken".to_owned()
        } else {
            took
        };
        lines.push(format!("{} setup on the base, {how}", mark(setup.ok)));
        if !setup.ok {
            lines.extend(tail(&setup.output));
        }
    }
    for check in &added.checks {
        lines.extend(report(check));
    }
    if added.checks.iter().any(|check| !check.ok) {
        lines.push("the checks are red on the base: a run can be proven only once they are green".to_owned());
    }
    let name = sanitize::line(&added.project.name);
    lines.push(format!("next: factory run '{name}' \"what is to be done\""));
    lines.join("\n")
}

fn report(check: &CommandReport) -> Vec<String> {
    let mut lines = vec![format!(
        "{} check on the base: {} ({}, {})",
        mark(check.ok),
        sanitize::line(&check.command),
        sanitize::line(&check.ended),
        milliseconds(check.work_ms)
    )];
    if !check.ok {
        lines.extend(tail(&check.output));
    }
    lines
}

fn commands(name: &str, commands: &[String], none: &str) -> Vec<String> {
    if commands.is_empty() {
        return vec![format!("  {name:<10}  {none}")];
    }
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    let lines = commands.iter().zip(names);
    lines
        .map(|(command, name)| format!("  {name:<10}  {}", sanitize::line(command)))
        .collect()
}

/// Returns the end of a command's output.
fn tail(output: &str) -> Vec<String> {
    let safe = sanitize::block(output);
    let lines: Vec<_> = safe.lines().collect();
    let left_out = lines.len().saturating_sub(OUTPUT_LINES);
    let mut shown = Vec::new();
    if left_out > 0 {
        shown.push(format!("    … {left_out} lines before"));
    }
    shown.extend(lines[left_out..].iter().map(|line| format!("    {line}")));
    shown
}

fn mark(ok: bool) -> char {
    if ok { '✓' } else { '✗' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_tells_how_the_base_stands() {
        let project = serde_json::json!({
            "id": 1, "name": "greeter", "local_path": "/src/greeter", "created_at": "2026-01-31T12:00:00.000000Z",
            "settings": {"checks": ["sh tests/run.sh", "make lint"]},
        });
        let report = ProjectAdded {
            project: serde_json::from_value(project).unwrap(),
            initialised: false,
            notes: vec!["large files are kept elsewhere".to_owned()],
            setup: None,
            checks: vec![CommandReport {
                command: "sh tests/run.sh".to_owned(),
                ok: false,
                ended: "exit code 1".to_owned(),
                output: "1 of 3 failed\n".to_owned(),
                work_ms: 12,
            }],
        };
        insta::assert_snapshot!(added(&report), @r#"
        project 1: greeter
          repository  /src/greeter
          base        the repository's current branch
          setup       none
          checks      sh tests/run.sh
                      make lint
        note: large files are kept elsewhere
        ✗ check on the base: sh tests/run.sh (exit code 1, 12ms)
            1 of 3 failed
        the checks are red on the base: a run can be proven only once they are green
        next: factory run 'greeter' "what is to be done"
        "#);
    }
    #[test]
    fn a_folder_of_a_repository_is_shown() {
        let shown = serde_json::json!({
            "id": 2, "name": "api", "local_path": "/src/mono", "created_at": "2026-01-31T12:00:00.000000Z",
            "settings": {"checks": ["make test"], "folder": "services/api"},
        });
        insta::assert_snapshot!(project(&serde_json::from_value(shown).unwrap()), @r"
        project 2: api
          repository  /src/mono
          folder      services/api
          base        the repository's current branch
          setup       none
          checks      make test
        ");
    }
}
