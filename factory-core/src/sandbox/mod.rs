//! What a command may do, and how it is held to it.
//!
//! Commands run in bubblewrap: every namespace, an allowlist of system paths, a cleared environment, no capabilities,
//! a system call filter, and bounds on time, output, file size and processes. Where bubblewrap does not work, commands
//! are refused; there is no way around it.

mod attached;
mod bubblewrap;
mod inherited;
mod leftovers;
mod lock;
mod output;
mod probe;
mod running;
mod seccomp;
mod spawner;
mod system_paths;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attached::{AttachedCommand, Streams};
pub use lock::RunLock;
pub use probe::Sandbox;
pub use running::RunningCommand;

use crate::model::SetupNetwork;

/// Where the checkout stands inside every sandbox. Fixed, because virtual environments and build caches hold
/// absolute paths.
pub const CHECKOUT: &str = "/factory/checkout";

/// Where the private home stands inside every sandbox.
pub const HOME: &str = "/factory/home";

/// How commands are held. Probed at start with the very arguments that are used later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "level")]
pub enum SandboxLevel {
    /// Namespaces by bubblewrap, seccomp, resource limits.
    Bubblewrap {
        /// The program's version.
        version: String,
    },
    /// None works: commands are refused.
    None {
        /// What is missing, and what to install or set.
        reason: String,
    },
}

/// What a command may reach over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Its own loopback alone.
    #[default]
    Off,
    /// The host's network: setup commands alone, and only where the operator said so.
    Host,
}

impl From<SetupNetwork> for Network {
    fn from(declared: SetupNetwork) -> Self {
        match declared {
            SetupNetwork::Off => Self::Off,
            SetupNetwork::Host => Self::Host,
        }
    }
}

/// What commands get of the host's settings for package registries. Holds no credentials: whoever makes it leaves
/// them out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Environment variables for every command: those that decide where a locked package is looked up, which an
    /// offline build must read as its setup did.
    pub variables: Vec<(String, String)>,
    /// Environment variables for commands with the host's network alone: proxies, certificates, indexes.
    pub host_variables: Vec<(String, String)>,
    /// Files for every command: the path inside, below `/factory`, and the content.
    pub files: Vec<(PathBuf, String)>,
    /// Host files bound read-only at the same path for commands with the host's network: certificate bundles.
    pub certificates: Vec<PathBuf>,
}

/// A program folder that is bound read-only, as a Rust toolchain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// What it is, for the operator: `rust 1.95.0 (rustup)`.
    pub name: String,
    /// The folders (or single files) to bind read-only, each at the same path.
    pub folders: Vec<PathBuf>,
    /// The folders to put on `PATH`.
    pub path: Vec<PathBuf>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
}

/// The bounds of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may take.
    pub wall: Duration,
    /// How many bytes of its output are kept from the beginning and from the end, each.
    pub output_ends: usize,
    /// How large a file it may write, in bytes.
    pub file_size: u64,
    /// How many processes and threads it may have, where the kernel can hold it to that.
    pub processes: u64,
}

impl Default for Limits {
    /// 10 minutes, 32 KiB of output at either end, files of 8 GiB, 4,096 processes.
    fn default() -> Self {
        Self {
            wall: Duration::from_mins(10),
            output_ends: 32 << 10,
            file_size: 8 << 30,
            processes: 4096,
        }
    }
}

/// A command to be run.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The text, given to `/bin/sh -c`.
    pub script: String,
    /// The checkout on the host, writable inside at [`CHECKOUT`], where the command starts.
    pub checkout: PathBuf,
    /// The private home on the host, writable inside at [`HOME`].
    pub home: PathBuf,
    /// What it may reach.
    pub network: Network,
    /// Its bounds.
    pub limits: Limits,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Killed because its time was over.
    TimedOut,
    /// Killed because the run was stopped.
    Stopped,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("timed out and was killed"),
            Self::Stopped => f.write_str("killed because the run was stopped"),
        }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// How it ended.
    pub exit: Exit,
    /// What it printed on both outputs, in the order of arrival: its head and tail, with a line between that says
    /// how many bytes are left out. Bytes that are no UTF-8 are shown as U+FFFD.
    pub output: String,
    /// How many bytes it printed in all.
    pub output_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a command was not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// No sandbox works here.
    #[error("commands are refused: {reason}")]
    Unavailable {
        /// What is missing, and what to do.
        reason: String,
    },
    /// The sandbox itself failed.
    #[error("the sandbox failed to {action}: {detail}")]
    Failed {
        /// What it was doing.
        action: &'static str,
        /// What went wrong.
        detail: String,
    },
}
