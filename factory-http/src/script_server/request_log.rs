//! The log of what a model server was asked, one JSON object a line.
//!
//! Each line is written whole, with one call, and is with the operating system when `write` returns: it survives
//! whatever is done to the processes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What the log says about a request, in each of its lines.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RequestRecord {
    /// The request's number in this life of the server, from one.
    pub(super) n: u64,
    /// How many assistant messages the conversation has: which reply of the script is asked for.
    pub(super) turn: usize,
    /// The SHA-256 of `{"messages": …, "tools": …}` in hexadecimal, keys sorted, without white space.
    pub(super) prompt_sha256: String,
    /// How many messages the conversation has.
    pub(super) messages: usize,
    /// The last message, shortened.
    pub(super) last: String,
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    event: &'a str,
    #[serde(flatten)]
    record: &'a RequestRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// The log, or nothing if none is wanted.
#[derive(Debug, Clone)]
pub(super) struct RequestLog(Option<Arc<Mutex<File>>>);

impl RequestLog {
    /// Opens the log to append to it.
    pub(super) async fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let open = move || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("cannot open the request log {}: {error}", path.display()),
                    )
                })
        };
        let file = tokio::task::spawn_blocking(open)
            .await
            .map_err(io::Error::other)??;
        Ok(Self(Some(Arc::new(Mutex::new(file)))))
    }

    /// Writes a line. It is out of this process's hands when the future is ready.
    pub(super) async fn write(
        &self,
        event: &str,
        record: &RequestRecord,
        detail: Option<&str>,
    ) -> io::Result<()> {
        let Some(file) = self.0.clone() else { return Ok(()) };
        let at_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let at_ms = u64::try_from(at_ms).unwrap_or(u64::MAX);
        let mut line = serde_json::to_vec(&Line {
            at_ms,
            event,
            record,
            detail,
        })?;
        line.push(b'\n');
        let write = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&line)?;
            file.flush()
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)?
    }
}
