//! What one client may take: time, bytes, messages. The document of the streams tells them.

use std::time::Duration;

/// How often a client hears that the server lives.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client of a socket may leave what it is told unread.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// For how long pieces of a reply are gathered into one frame.
pub(crate) const GATHER: Duration = Duration::from_millis(100);

/// The most bytes of pieces that are gathered; more is left out.
pub(crate) const MOST_GATHERED: usize = 16 << 10;

/// The most bytes of a message of the client's.
pub(crate) const MOST_HEARD: usize = 64 << 10;

/// How many messages a client may send between two heartbeats. None is expected.
pub(crate) const MOST_MESSAGES: u32 = 100;

/// The bytes that are gathered before they are written.
pub(super) const WRITE_BUFFER: usize = 32 << 10;

/// The most bytes that may wait to be written for one client.
pub(crate) const MOST_UNWRITTEN: usize = 1 << 20;
