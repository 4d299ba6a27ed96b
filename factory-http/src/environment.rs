//! What the process was started with, read once in `main` and passed on as plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use factory_core::HostEnvironment;

use crate::failure::Failure;
use crate::render::output::Terminal;

/// The folder of the factory within the user's data folder.
const FOLDER: &str = "ai-dev-factory";

/// What the process was started with.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// What the core is told of the host.
    pub(crate) host: HostEnvironment,
    /// The data folder where none is named.
    pub(crate) default_data_folder: PathBuf,
    /// The terminal.
    pub(crate) terminal: Terminal,
}

impl Environment {
    /// Reads the environment. Variables that are no Unicode are left out.
    pub(crate) fn capture() -> Result<Self, Failure> {
        let strategy = etcetera::choose_base_strategy().map_err(|error| {
            Failure::caused("cannot tell where your home folder is", &error)
                .with_remedy("set HOME, or name a data folder with --data-dir")
        })?;
        let variables: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let variable = |wanted: &str| variables.get(wanted).map(String::as_str);
        let no_color = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Self {
            terminal: Terminal::capture(no_color, variable("TERM")),
            default_data_folder: strategy.data_dir().join(FOLDER),
            host: HostEnvironment {
                home: strategy.home_dir().to_owned(),
                variables,
            },
        })
    }

    /// Returns the value of a variable, if it is set and not empty.
    pub(crate) fn variable(&self, wanted: &str) -> Option<&str> {
        let value = self.host.variables.get(wanted).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}
