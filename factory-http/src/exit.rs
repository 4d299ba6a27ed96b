//! The program's exit codes. Documented in `factory --help` and stable: scripts depend on them.

use std::process::ExitCode;

use factory_core::model::RunStatus;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked is done; a run that was followed is COMPLETE.
    Complete,
    /// It was tried and did not work; a run that was followed is FAILED.
    Failed,
    /// The command line cannot be used, or names nothing that is there.
    Usage,
    /// The run waits for the operator: PAUSED or `AWAITING_APPROVAL`.
    Waiting,
    /// The run was stopped.
    Stopped,
}

impl Exit {
    /// The code of a process that a second Ctrl-C ended: 128 and the number of SIGINT, as shells count.
    pub(crate) const INTERRUPTED: i32 = 130;

    /// Returns the code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waiting => 3,
            Self::Stopped => 4,
        }
    }

    /// Returns how the program ends that followed a run to this status. A run that is still on its way was left by
    /// whoever followed it, and waits.
    pub(crate) fn of(status: RunStatus) -> Self {
        match status {
            RunStatus::Complete => Self::Complete,
            RunStatus::Failed => Self::Failed,
            RunStatus::Stopped => Self::Stopped,
            RunStatus::Queued | RunStatus::Running | RunStatus::Paused | RunStatus::AwaitingApproval => {
                Self::Waiting
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
