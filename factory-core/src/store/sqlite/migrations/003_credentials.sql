-- Who may ask. Of a secret its SHA-256 is kept, and nothing else.
CREATE TABLE credentials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('owner', 'token', 'login_code', 'session')),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    hash BLOB NOT NULL UNIQUE,
    page_hash BLOB,                     -- of a session's second secret
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    redeemed_at TEXT,                   -- when a login code became a session
    CHECK ((kind = 'session') = (page_hash IS NOT NULL))
);
CREATE INDEX credentials_holding ON credentials (id) WHERE revoked_at IS NULL AND redeemed_at IS NULL;
