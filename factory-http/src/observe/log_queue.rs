//! Where lines of the log wait to be written. Standard error may be a pipe that nobody empties; a server must not stand
//! still because of it, so that a thread of its own writes and lines are left out, and counted, when too many wait.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::logs::LogForm;

/// How many lines may wait.
const MOST: usize = 1024;

/// How long the end of the process waits for lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is told of lines that are missing.
const LEFT_OUT: &str = "lines were left out: nobody read the log in time";

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before it is written; said back.
    End(SyncSender<()>),
}

/// The way to the thread that writes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LogQueue {
    entries: SyncSender<Entry>,
    left_out: Arc<AtomicU64>,
}

impl LogQueue {
    /// Starts a thread that writes lines of that form to `target`.
    pub(super) fn start(target: impl Write + Send + 'static, form: LogForm) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(MOST);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&waiting, target, form, &counted))?;
        Ok(Self { entries, left_out })
    }

    /// Returns once what was said before is written, or after a moment.
    pub(super) fn flush(&self) {
        let (said, heard) = sync_channel(1);
        // Where the queue is full the lines in it are waited for no longer than the answer would be.
        let begun = std::time::Instant::now();
        let mut entry = Entry::End(said);
        while let Err(TrySendError::Full(back)) = self.entries.try_send(entry) {
            if begun.elapsed() >= FAREWELL {
                return;
            }
            entry = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        // An error means that nothing is written any more.
        let _ = heard.recv_timeout(FAREWELL);
    }
}

/// Writes until nobody is left who could say more. Errors have nowhere to be told.
fn write_all(waiting: &Receiver<Entry>, mut target: impl Write, form: LogForm, left_out: &AtomicU64) {
    while let Ok(entry) = waiting.recv() {
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = match form {
                LogForm::Text => writeln!(target, "WARN factory::log: {LEFT_OUT} lines={missing}"),
                LogForm::Json => writeln!(
                    target,
                    r#"{{"level":"WARN","target":"factory::log","fields":{{"message":"{LEFT_OUT}","lines":{missing}}}}}"#
                ),
            };
        }
        match entry {
            Entry::Line(line) => {
                let _ = target.write_all(&line);
            }
            Entry::End(said) => {
                let _ = target.flush();
                let _ = said.send(());
            }
        }
    }
}

impl Write for LogQueue {
    /// Takes one line: the subscriber writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Takes nothing until it is told that it may.
    struct Pipe {
        may_go_on: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that the test no longer holds it up.
            let _ = self.may_go_on.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_is_told_what_it_missed() {
        let (go_on, may_go_on) = mpsc::channel();
        let written = Arc::default();
        let mut queue = LogQueue::start(
            Pipe {
                may_go_on,
                written: Arc::clone(&written),
            },
            LogForm::Json,
        )
        .unwrap();
        // One line may be out of the queue and in the thread's hands already.
        for number in 0..MOST + 10 {
            queue.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        drop(go_on);
        queue.flush();
        queue.write_all(b"after\n").unwrap();
        queue.flush();
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines = written.lines().filter(|line| line.starts_with("line ")).count();
        let missed: u64 = written
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["fields"]["lines"].as_u64())
            .sum();
        assert!(written.ends_with("after\n"), "{written}");
        assert!((9..=10).contains(&missed), "{missed}");
        assert_eq!(lines as u64 + missed, MOST as u64 + 10);
    }
}
