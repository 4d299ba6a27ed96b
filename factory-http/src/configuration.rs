//! Settings from `factory.toml` in the data folder, then `FACTORY_…` variables, then flags; the later wins.

mod endpoints;
mod outgoing;
pub(crate) mod secrets;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_core::model::{Budget, BudgetLimit};
use factory_core::{Settings, scheduler};
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use self::endpoints::EndpointTable;
use self::outgoing::{NotifyTable, WebhookTable};
use self::secrets::Sources;
use self::server::ServerTable;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::guard::Site;
use crate::render::amount::{parse_count, parse_time};
use crate::server::Listening;

/// The settings' file in the data folder.
const FILE: &str = "factory.toml";

/// The variables that are read, each with the place of its value.
const VARIABLES: [(&str, &[&str]); 11] = [
    ("FACTORY_DATABASE", &["database"]),
    ("FACTORY_OPERATOR", &["operator"]),
    ("FACTORY_MODEL", &["model"]),
    ("FACTORY_BUDGET_CALLS", &["budget", "calls"]),
    ("FACTORY_BUDGET_TOKENS", &["budget", "tokens"]),
    ("FACTORY_BUDGET_TIME", &["budget", "time"]),
    ("FACTORY_BUDGET_TURNS", &["budget", "turns"]),
    ("FACTORY_LIMITS_CHECK", &["limits", "check"]),
    ("FACTORY_SERVER_LISTEN", &["server", "listen"]),
    ("FACTORY_SERVER_CONSOLE", &["server", "console"]),
    ("FACTORY_SERVER_PUBLIC_URL", &["server", "public_url"]),
];

/// What the flags say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// `--data-dir`.
    pub(crate) data_dir: Option<PathBuf>,
    /// `--database`.
    pub(crate) database: Option<String>,
}

/// What the program works with.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    /// What the core is opened with.
    pub(crate) settings: Settings,
    /// Where the server listens.
    pub(crate) listening: Listening,
    /// How many runs the server works on at once.
    pub(crate) limits: scheduler::Limits,
    /// Whom the server tells what happens.
    pub(crate) outgoing: crate::outgoing::Settings,
}

/// The shape of `factory.toml`. What is not known is refused, so that a slip of the pen is seen.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    database: Option<String>,
    operator: Option<String>,
    model: Option<String>,
    budget: Bounds,
    limits: Limits,
    endpoint: BTreeMap<String, EndpointTable>,
    server: ServerTable,
    notify: Option<NotifyTable>,
    webhook: BTreeMap<String, WebhookTable>,
}

/// How long commands may take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    check: Option<String>,
    /// How many runs are worked on at once.
    runs: Option<usize>,
    /// How many of one project.
    runs_per_project: Option<usize>,
    /// How many of one model server.
    runs_per_server: Option<usize>,
}

impl Limits {
    /// Returns how many runs are worked on at once. None of the bounds may be 0, which would stop the queue for good.
    fn of_the_queue(&self) -> Result<scheduler::Limits, String> {
        let ordinary = scheduler::Limits::default();
        let bound = |name: &str, bound: Option<usize>| match bound {
            Some(0) => Err(format!(
                "limits.{name}: at least 1, or nothing would ever be worked on"
            )),
            bound => Ok(bound),
        };
        Ok(scheduler::Limits {
            factory: bound("runs", self.runs)?.unwrap_or(ordinary.factory),
            per_project: bound("runs_per_project", self.runs_per_project)?.unwrap_or(ordinary.per_project),
            per_server: bound("runs_per_server", self.runs_per_server)?,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Bounds {
    calls: Option<Bound>,
    tokens: Option<Bound>,
    time: Option<String>,
    turns: Option<Bound>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(u64),
    Text(String),
}

/// A variable's value, or a table of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry {
    Value(String),
    Table(BTreeMap<&'static str, Entry>),
}

impl Configuration {
    /// Reads the settings.
    pub(crate) fn read(environment: &Environment, flags: &Flags) -> Result<Self, Failure> {
        let data_folder = data_folder(environment, flags)?;
        let file_path = data_folder.join(FILE);
        let from_file = match file_path.try_exists() {
            Ok(false) => Figment::new(),
            // One that cannot be looked at is told by the reading of it.
            Ok(true) | Err(_) => Figment::from(Toml::file_exact(&file_path)),
        };
        let file: File = from_file
            .merge(Serialized::defaults(variables(environment)))
            .extract()
            .map_err(|error| {
                let problem = problem(&error);
                Failure::usage(format!("the settings cannot be used: {problem}")).with_remedy(format!(
                    "mend `{}` or the FACTORY_… variables",
                    file_path.display()
                ))
            })?;
        let mut settings = Settings::new(data_folder, environment.host.clone());
        settings.operator = file.operator.unwrap_or_else(|| operator(environment));
        settings.database = flags.database.clone().or(file.database);
        settings.budget = budget(&file.budget).map_err(Failure::usage)?;
        if let Some(text) = &file.limits.check {
            settings.check_within = check_within(text).map_err(Failure::usage)?;
        }
        if let Some(model) = file.model {
            settings.model = model;
        }
        let remedy = || format!("mend `{}`", file_path.display());
        settings.endpoints = endpoints::endpoints(file.endpoint, environment, &settings.data_folder)
            .map_err(|problem| Failure::usage(problem).with_remedy(remedy()))?;
        let sources = Sources {
            environment,
            data_folder: &settings.data_folder,
        };
        let listening = file
            .server
            .listening(sources)
            .map_err(|problem| Failure::usage(problem).with_remedy(remedy()))?;
        let mut outgoing = outgoing::outgoing(file.notify, file.webhook, sources)
            .map_err(|problem| Failure::usage(problem).with_remedy(remedy()))?;
        outgoing.public_url = listening.public_url.as_ref().map(Site::origin);
        keep_apart(&mut settings, &mut outgoing);
        let limits = file.limits.of_the_queue().map_err(Failure::usage)?;
        Ok(Self {
            settings,
            listening,
            limits,
            outgoing,
        })
    }

    /// Returns the settings of a data folder that nothing was set for.
    pub(crate) fn untouched(environment: &Environment, data_folder: &Path) -> Settings {
        let mut settings = Settings::new(data_folder, environment.host.clone());
        settings.operator = operator(environment);
        keep_apart(&mut settings, &mut crate::outgoing::Settings::default());
        settings
    }
}

/// Takes secrets out of what the core is told of the host, which is handed on to commands in parts, and out of what the
/// notify command is given.
fn keep_apart(settings: &mut Settings, outgoing: &mut crate::outgoing::Settings) {
    let mut secrets = settings.endpoints.secrets();
    secrets.extend(outgoing.secrets().cloned());
    let is_open = |value: &String| !secrets.iter().any(|secret| secret.expose() == value.trim());
    settings.host.variables.retain(|_, value| is_open(value));
    if let Some((command, _)) = &mut outgoing.notify {
        command.variables.retain(|_, value| is_open(value));
    }
}

/// Returns what is wrong with the settings, without the values that stand in the file: one of them may be a key in a place
/// where none belongs.
fn problem(error: &figment::Error) -> String {
    use figment::error::Kind;
    let place = error.path.join(".");
    let about = |text: String| {
        if place.is_empty() {
            text
        } else {
            format!("`{place}`: {text}")
        }
    };
    match &error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected)
            if error
                .path
                .first()
                .is_some_and(|first| ["endpoint", "notify", "webhook"].contains(&first.as_str())) =>
        {
            about(format!("it has to be {expected}"))
        }
        Kind::UnknownVariant(_, expected) => about(format!("it has to be {}", expected.join(" or "))),
        Kind::Message(text) => {
            // The parser of TOML shows the line in question.
            let lines = text.lines().filter(|line| {
                let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
                !line.starts_with('|')
            });
            about(lines.collect::<Vec<_>>().join(": "))
        }
        _ => error.to_string(),
    }
}

fn data_folder(environment: &Environment, flags: &Flags) -> Result<PathBuf, Failure> {
    let named = flags.data_dir.clone();
    let named = named.or_else(|| environment.variable("FACTORY_DATA_DIR").map(PathBuf::from));
    let folder = named.unwrap_or_else(|| environment.default_data_folder.clone());
    std::path::absolute(&folder)
        .map_err(|error| Failure::caused(format!("`{}` is no data folder", folder.display()), &error))
}

/// Returns the name by which events call the operator.
fn operator(environment: &Environment) -> String {
    let name = environment
        .variable("USER")
        .or_else(|| environment.variable("LOGNAME"));
    name.unwrap_or("operator").to_owned()
}

fn variables(environment: &Environment) -> BTreeMap<&'static str, Entry> {
    let mut entries = BTreeMap::new();
    for (name, place) in VARIABLES {
        let Some(value) = environment.variable(name) else {
            continue;
        };
        let value = Entry::Value(value.to_owned());
        match *place {
            [table, key] => {
                let table = entries
                    .entry(table)
                    .or_insert_with(|| Entry::Table(BTreeMap::new()));
                if let Entry::Table(table) = table {
                    table.insert(key, value);
                }
            }
            [key] => {
                entries.insert(key, value);
            }
            _ => {}
        }
    }
    entries
}

/// Reads how long a check may take. It always ends, because a check that hangs would hold its run for ever.
fn check_within(text: &str) -> Result<Duration, String> {
    match parse_time(text) {
        Ok(BudgetLimit::AtMost(milliseconds @ 1..)) => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!(
            "limits.check: `{text}` is not a time such as 45s, 90m or 1h30m"
        )),
    }
}

fn budget(bounds: &Bounds) -> Result<Budget, String> {
    let count = |name: &str, bound: &Option<Bound>, default| match bound {
        None => Ok(default),
        Some(Bound::Number(most)) => Ok(BudgetLimit::AtMost(*most)),
        Some(Bound::Text(text)) => parse_count(text).map_err(|error| format!("budget.{name}: {error}")),
    };
    let default = Budget::default();
    Ok(Budget {
        calls: count("calls", &bounds.calls, default.calls)?,
        tokens: count("tokens", &bounds.tokens, default.tokens)?,
        work_ms: match &bounds.time {
            None => default.work_ms,
            Some(text) => parse_time(text).map_err(|error| format!("budget.time: {error}"))?,
        },
        turns: count("turns", &bounds.turns, default.turns)?,
    })
}

#[cfg(test)]
mod tests {
    use factory_core::HostEnvironment;
    use factory_core::llm::endpoint::Endpoints;

    use super::*;
    use crate::render::output::Terminal;

    fn environment(folder: &Path, variables: &[(&str, &str)]) -> Environment {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment {
            host: HostEnvironment {
                home: "/home/ann".into(),
                variables: variables.collect(),
            },
            default_data_folder: folder.to_owned(),
            terminal: Terminal {
                asks: false,
                live: false,
                colours: false,
            },
        }
    }

    #[test]
    fn the_later_source_wins() {
        let folder = tempfile::tempdir().unwrap();
        let file = "model = \"ollama:file\"\noperator = \"ann\"\n[budget]\ncalls = 7\ntokens = \"3M\"\ntime = \"1h\"\n[limits]\ncheck = \"30s\"\n";
        std::fs::write(folder.path().join(FILE), file).unwrap();
        let variables = [
            ("FACTORY_MODEL", "ollama:variable"),
            ("FACTORY_BUDGET_TOKENS", "unlimited"),
        ];
        let flags = Flags {
            data_dir: None,
            database: Some("sqlite:/x".to_owned()),
        };
        let read = Configuration::read(&environment(folder.path(), &variables), &flags).unwrap();
        assert_eq!(read.settings.model, "ollama:variable");
        assert_eq!(read.settings.operator, "ann");
        assert_eq!(read.settings.check_within, Duration::from_secs(30));
        assert_eq!(read.settings.database.as_deref(), Some("sqlite:/x"));
        assert_eq!(
            read.settings.budget,
            Budget {
                calls: BudgetLimit::AtMost(7),
                tokens: BudgetLimit::Unlimited,
                work_ms: BudgetLimit::AtMost(3_600_000),
                turns: BudgetLimit::AtMost(100),
            }
        );
    }

    #[test]
    fn nothing_set_is_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), &[("USER", "ann"), ("FACTORY_MODEL", "")]);
        let read = Configuration::read(&environment, &Flags::default()).unwrap();
        assert_eq!(read.settings.model, factory_core::model::RunSpec::default().model);
        assert_eq!(read.settings.endpoints, Endpoints::built_in());
        assert_eq!(read.settings.operator, "ann");
        assert_eq!(read.settings.budget, Budget::default());
        assert_eq!(read.settings.data_folder, folder.path());
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "modell = \"x\"\n").unwrap();
        let failure = Configuration::read(&environment(folder.path(), &[]), &Flags::default()).unwrap_err();
        assert!(failure.message.contains("modell"), "{failure:?}");
        let variables = [("FACTORY_BUDGET_TIME", "5 hours")];
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        let failure =
            Configuration::read(&environment(folder.path(), &variables), &Flags::default()).unwrap_err();
        assert!(
            failure
                .message
                .starts_with("budget.time: `5 hours` is not a time"),
            "{failure:?}"
        );
        for bad in ["unlimited", "0s", "soon", ""] {
            assert!(check_within(bad).is_err(), "{bad}");
        }
    }
}
