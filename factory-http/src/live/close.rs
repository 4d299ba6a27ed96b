//! Why a socket is closed: codes that clients act on.

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The run is final and everything was told.
    Final,
    /// The server ends, or is started again: connect again with the cursor.
    Restart,
    /// The client sends what nobody asked for.
    Chatter,
    /// The credential no longer holds.
    Unauthenticated,
    /// The client does not read: connect again with the cursor.
    TooSlow,
    /// The server failed; its log says how.
    Internal,
}

impl Close {
    /// Every reason, for the document.
    pub(crate) const ALL: [Self; 6] = [
        Self::Final,
        Self::Restart,
        Self::Chatter,
        Self::Unauthenticated,
        Self::TooSlow,
        Self::Internal,
    ];

    /// Returns the code.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Final => 1000,
            Self::Chatter => 1008,
            Self::Internal => 1011,
            Self::Restart => 1012,
            Self::Unauthenticated => 4401,
            Self::TooSlow => 4408,
        }
    }

    /// Returns what is said with the code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Final => "the run is final and everything was told",
            Self::Chatter => "nothing is expected from the client",
            Self::Internal => "the server failed; connect again with the cursor",
            Self::Restart => "the server ends; connect again with the cursor",
            Self::Unauthenticated => "the credential no longer holds",
            Self::TooSlow => "the client does not read; connect again with the cursor",
        }
    }
}
