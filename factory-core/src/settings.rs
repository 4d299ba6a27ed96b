//! What a factory is opened with, as plain data. Nothing here reads the environment; front ends do.

use std::path::PathBuf;
use std::time::Duration;

use crate::environment::HostEnvironment;
use crate::llm::endpoint::Endpoints;
use crate::model::{Budget, RunSpec};
use crate::sandbox::Limits;

/// What a factory is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder, made if it is missing.
    pub data_folder: PathBuf,
    /// The database, as `sqlite:PATH`; none takes the data folder's own.
    pub database: Option<String>,
    /// Who the operator is, for the events.
    pub operator: String,
    /// What runs may spend where they are filed without saying.
    pub budget: Budget,
    /// How long one check command may take.
    pub check_within: Duration,
    /// The model of runs that name none.
    pub model: String,
    /// The model servers, with their keys, which are never stored and never shown.
    pub endpoints: Endpoints,
    /// What the host offers.
    pub host: HostEnvironment,
}

impl Settings {
    /// Returns the settings of a factory that keeps everything in `data_folder`.
    pub fn new(data_folder: impl Into<PathBuf>, host: HostEnvironment) -> Self {
        Self {
            data_folder: data_folder.into(),
            database: None,
            operator: "operator".to_owned(),
            budget: Budget::default(),
            check_within: Limits::default().wall,
            model: RunSpec::default().model,
            endpoints: Endpoints::built_in(),
            host,
        }
    }
}
