//! A run's checkout: names that are safe to use, files that are opened beneath one held folder, edits of texts.
//!
//! A name enters as a [`RepoPath`] and nothing else; a file is reached through [`Files`] and nothing else. What leaves
//! the checkout, follows a link on writing, or is no regular file is refused by the kernel or here, never by a
//! comparison of joined strings.

pub mod edit;
mod files;
mod landing;
mod repo_path;

pub use files::{Entry, EntryKind, Executable, FileContent, Files, FilesError, Listing};
pub(crate) use landing::replace_all;
pub use landing::{LandingError, land};
pub use repo_path::{InvalidPath, PathProblem, RepoPath};
