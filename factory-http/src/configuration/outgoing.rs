//! The tables `[notify]` and `[webhook.NAME]` of `factory.toml`: who is told what happens. Set in this file alone: they make
//! the factory run a program or call an address.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::secrets::Sources;
use crate::outgoing::{NotifyCommand, Occasion, Settings, WebhookSettings, WebhookUrl};

/// A shorter secret could be found by trying.
const SHORTEST_SECRET: usize = 16;

/// The longest name of a webhook.
const LONGEST_NAME: usize = 64;

/// The table of the notify command.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotifyTable {
    command: Vec<String>,
    on: Option<Vec<Occasion>>,
}

/// The table of a webhook.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookTable {
    url: String,
    secret_env: Option<String>,
    secret_file: Option<String>,
    on: Option<Vec<Occasion>>,
}

/// Returns who is told. The error names the table and what is wrong with it, and repeats no value. A secret that cannot be
/// read is no error before it is used: most commands tell nobody anything.
pub(super) fn outgoing(
    notify: Option<NotifyTable>,
    webhooks: BTreeMap<String, WebhookTable>,
    sources: Sources<'_>,
) -> Result<Settings, String> {
    let mut settings = Settings::default();
    if let Some(table) = notify {
        let on = occasions(table.on).map_err(|problem| format!("notify.on: {problem}"))?;
        settings.notify = Some((command(table.command, sources)?, on));
    }
    for (name, table) in webhooks {
        let about = |problem: String| format!("webhook.{name}: {problem}");
        settings
            .webhooks
            .push(webhook(&name, table, sources).map_err(about)?);
    }
    Ok(settings)
}

fn command(words: Vec<String>, sources: Sources<'_>) -> Result<NotifyCommand, String> {
    let mut words = words.into_iter();
    let program = words.next().filter(|program| !program.is_empty()).ok_or(
        "notify.command: it is empty; write the program and its arguments, such as [\"notify-send\", \"AI Dev Factory\"]",
    )?;
    let program = if program.contains('/') {
        sources.place_of(&program)
    } else {
        PathBuf::from(program)
    };
    let host = &sources.environment.host;
    Ok(NotifyCommand::new(
        program,
        words.collect(),
        host.variables.clone(),
        host.home.clone(),
    ))
}

fn webhook(name: &str, table: WebhookTable, sources: Sources<'_>) -> Result<WebhookSettings, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
        return Err(format!(
            "a webhook's name is 1 to {LONGEST_NAME} letters, digits, `-` and `_`"
        ));
    }
    let secret = match (table.secret_env, table.secret_file) {
        (Some(variable), None) => sources.variable("secret_env", &variable),
        (None, Some(file)) => sources.file("secret_file", &file),
        (None, None) => {
            return Err(
                "`secret_env` or `secret_file` is missing; what is sent is signed with the secret it names"
                    .to_owned(),
            );
        }
        (Some(_), Some(_)) => {
            return Err("`secret_env` and `secret_file` name two secrets; keep one".to_owned());
        }
    };
    let secret = secret.and_then(|secret| {
        if secret.expose().len() < SHORTEST_SECRET {
            return Err(format!(
                "its secret has fewer than {SHORTEST_SECRET} characters; `openssl rand -hex 32` makes a good one"
            ));
        }
        Ok(secret)
    });
    Ok(WebhookSettings {
        name: name.to_owned(),
        url: WebhookUrl::parse(&table.url).map_err(|problem| format!("`url`: {problem}"))?,
        secret,
        on: occasions(table.on).map_err(|problem| format!("`on`: {problem}"))?,
    })
}

fn occasions(named: Option<Vec<Occasion>>) -> Result<Vec<Occasion>, String> {
    match named {
        None => Ok(Occasion::ALL.to_vec()),
        Some(named) if named.is_empty() => {
            Err("it is empty, so that nothing would be told; remove it".to_owned())
        }
        Some(named) => Ok(named),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use factory_core::HostEnvironment;
    use figment::providers::Format as _;

    use super::*;
    use crate::environment::Environment;
    use crate::render::output::Terminal;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tables {
        notify: Option<NotifyTable>,
        webhook: BTreeMap<String, WebhookTable>,
    }

    const SECRET: &str = "0123456789abcdef";

    fn read(toml: &str) -> Result<Settings, String> {
        let variables = [("HOOK_SECRET", SECRET), ("SHORT", "abc"), ("PATH", "/bin")];
        let environment = Environment {
            host: HostEnvironment {
                home: "/home/ann".into(),
                variables: variables
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            },
            default_data_folder: "/data".into(),
            terminal: Terminal {
                asks: false,
                live: false,
                colours: false,
            },
        };
        let tables: Tables = figment::Figment::from(figment::providers::Toml::string(toml))
            .extract()
            .map_err(|error| error.to_string())?;
        let sources = Sources {
            environment: &environment,
            data_folder: Path::new("/data"),
        };
        outgoing(tables.notify, tables.webhook, sources)
    }

    #[test]
    fn tables_say_who_is_told_of_what() {
        let settings = read(
            "[notify]\ncommand = [\"tools/tell\", \"loud\"]\non = [\"waiting\"]\n\
             [webhook.team]\nurl = \"https://hooks.example.org/x?y=z\"\nsecret_env = \"HOOK_SECRET\"\n\
             [webhook.other]\nurl = \"http://10.0.0.1\"\nsecret_env = \"UNSET\"\non = [\"failed\", \"parked\"]",
        )
        .unwrap();
        let (command, on) = settings.notify.as_ref().unwrap();
        assert_eq!(
            (command.program.as_path(), command.folder.as_path()),
            (Path::new("/data/tools/tell"), Path::new("/home/ann"))
        );
        assert_eq!(
            (&command.arguments[..], &on[..]),
            (&["loud".to_owned()][..], &[Occasion::Waiting][..])
        );
        let [other, team] = &settings.webhooks[..] else {
            panic!("{settings:?}");
        };
        assert_eq!((&team.name[..], &team.on[..]), ("team", &Occasion::ALL[..]));
        assert_eq!(team.secret.as_ref().unwrap().expose(), SECRET);
        assert_eq!(other.on, [Occasion::Failed, Occasion::Parked]);
        let problem = other.secret.as_ref().unwrap_err();
        assert!(problem.starts_with("the variable `UNSET` that `secret_env` names is not set"));
        assert_eq!(settings.secrets().count(), 1);
    }

    #[test]
    fn a_short_secret_is_no_secret() {
        let settings = read("[webhook.a]\nurl = \"http://x\"\nsecret_env = \"SHORT\"").unwrap();
        let problem = settings.webhooks[0].secret.as_ref().unwrap_err();
        assert!(problem.contains("fewer than 16 characters"), "{problem}");
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        let hook =
            |rest: &str| format!("[webhook.a]\nurl = \"https://x/\"\nsecret_env = \"HOOK_SECRET\"\n{rest}");
        for (toml, expected) in [
            ("[notify]\ncommand = []".to_owned(), "notify.command: it is empty"),
            ("[notify]\ncommand = \"x\"".to_owned(), "invalid type"),
            (
                "[notify]\ncommand = [\"x\"]\non = []".to_owned(),
                "notify.on: it is empty",
            ),
            (hook("on = [\"started\"]"), "unknown variant"),
            (
                hook("secret_file = \"x\""),
                "webhook.a: `secret_env` and `secret_file` name two",
            ),
            (hook("secret = \"x\""), "unknown field"),
            (
                "[webhook.a]\nurl = \"https://x/\"".to_owned(),
                "webhook.a: `secret_env` or `secret_file` is missing",
            ),
            (
                "[webhook.a]\nurl = \"x.org\"\nsecret_env = \"HOOK_SECRET\"".to_owned(),
                "webhook.a: `url`: it is no URL",
            ),
            (
                "[webhook.\"../a\"]\nurl = \"https://x/\"\nsecret_env = \"HOOK_SECRET\"".to_owned(),
                "webhook.../a: a webhook's name",
            ),
        ] {
            let refused = read(&toml).unwrap_err();
            assert!(refused.starts_with(expected), "{toml}: {refused}");
        }
    }
}
