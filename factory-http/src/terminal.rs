//! A terminal of its own for a command, with the operator's terminal as its screen and keyboard.
//!
//! The command never holds the operator's terminal, so nothing that it does to its own, and nothing that outlives it,
//! reaches further than the bytes that are shown. The relay runs in threads, because a terminal is read by blocking.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use factory_core::sandbox::Streams;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use tokio::signal::unix::{SignalKind, signal};

/// The operator's terminal while it passes everything on as it is. Dropping it makes it what it was.
struct Raw {
    before: Termios,
}

impl Raw {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _result = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// A terminal that was made for a command.
pub(crate) struct Relay {
    ours: File,
}

impl Relay {
    /// Makes a terminal as large as the operator's, and returns the command's ends of it.
    pub(crate) fn make() -> io::Result<(Self, Streams)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        // By the handle and not by a name, which another file system could give another meaning.
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let streams = Streams {
            input: theirs.try_clone()?,
            output: theirs.try_clone()?,
            error: theirs,
        };
        let relay = Self { ours: ours.into() };
        relay.resize()?;
        Ok((relay, streams))
    }

    /// Passes keys and characters on until `ended` says that the command is gone and all that it printed is shown.
    pub(crate) async fn until<T>(self, ended: impl Future<Output = T>) -> io::Result<T> {
        let raw = Raw::begin()?;
        let shown = self.show()?;
        self.type_on()?;
        let mut resized = signal(SignalKind::window_change())?;
        tokio::pin!(ended);
        let result = loop {
            tokio::select! {
                result = &mut ended => break result,
                _ = resized.recv() => self.resize()?,
            }
        };
        // Its end of the terminal is closed, so the rest comes and then nothing.
        let waited = tokio::task::spawn_blocking(move || shown.join());
        drop(waited.await);
        drop(raw);
        Ok(result)
    }

    fn resize(&self) -> io::Result<()> {
        Ok(tcsetwinsize(&self.ours, tcgetwinsize(io::stdin())?)?)
    }

    fn show(&self) -> io::Result<JoinHandle<()>> {
        let from = self.ours.try_clone()?;
        std::thread::Builder::new()
            .name("terminal-output".to_owned())
            .spawn(move || pass_on(from, io::stdout()))
    }

    /// Reads the keyboard until the program ends: a blocking read cannot be called back.
    fn type_on(&self) -> io::Result<()> {
        let to = self.ours.try_clone()?;
        let typed = std::thread::Builder::new().name("terminal-input".to_owned());
        typed.spawn(move || pass_on(io::stdin(), to)).map(drop)
    }
}

/// Copies until one side is gone.
fn pass_on(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 8 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(count @ 1..) => {
                if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Returns this program's own streams, for a command to use as they are; its output goes to standard error where
/// standard output is for something else.
pub(crate) fn own_streams(output_is_free: bool) -> io::Result<Streams> {
    let own = |descriptor: &dyn std::os::fd::AsFd| -> io::Result<OwnedFd> {
        descriptor.as_fd().try_clone_to_owned()
    };
    Ok(Streams {
        input: own(&io::stdin())?,
        output: if output_is_free {
            own(&io::stdout())?
        } else {
            own(&io::stderr())?
        },
        error: own(&io::stderr())?,
    })
}
