-- The first schema: the columns id, name, local_path, project_id, goal, status, current_iteration, run_id, type,
-- payload and created_at are those of the databases that came before; the others are ours. Times are text in UTC
-- (2026-01-31T12:00:00.000000Z); an older form, or a text that is no time, stays as it was stored.
PRAGMA application_id = 1095320646; -- "AIDF"

CREATE TABLE projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    local_path TEXT NOT NULL,           -- a BLOB where the path is not UTF-8
    settings TEXT NOT NULL DEFAULT '{}',
    created_at TEXT
);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER REFERENCES projects (id),
    goal TEXT NOT NULL,
    -- The names only: which of them may follow which is not the database's to know.
    status TEXT NOT NULL DEFAULT 'QUEUED' CHECK (status IN (
        'QUEUED', 'RUNNING', 'PAUSED', 'AWAITING_APPROVAL', 'COMPLETE', 'FAILED', 'STOPPED'
    )),
    current_iteration INTEGER NOT NULL DEFAULT 0,
    created_at TEXT,
    reason TEXT,
    detail TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    spec TEXT NOT NULL DEFAULT '{}',
    base_commit TEXT,
    branch TEXT,
    commit_id TEXT,
    usage TEXT NOT NULL DEFAULT '{}',
    last_seq INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,                    -- the claim is held as long as this is not NULL
    claimed_at TEXT,
    updated_at TEXT,
    former_status TEXT,                 -- what an older database said, where it is not one of the names
    former_project_id INTEGER,          -- what an older database said, where there is no such project
    CHECK ((claimed_by IS NULL) = (claimed_at IS NULL))
);
CREATE INDEX runs_by_project ON runs (project_id, id);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_project_and_status ON runs (project_id, status, id);
CREATE INDEX runs_in_claim_order ON runs (priority DESC, id) WHERE status = 'QUEUED' AND claimed_by IS NULL;
CREATE INDEX runs_claimed ON runs (id) WHERE claimed_by IS NOT NULL;

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    type TEXT NOT NULL,
    payload TEXT,
    created_at TEXT,
    seq INTEGER NOT NULL,
    actor TEXT NOT NULL DEFAULT 'system',
    cause INTEGER,
    step_id INTEGER
);
CREATE UNIQUE INDEX events_of_run ON events (run_id, seq);

-- Events of an older database whose run is not there. Nothing serves them; they are kept for whoever looks.
CREATE TABLE orphaned_events (
    id INTEGER PRIMARY KEY,
    run_id INTEGER,
    type TEXT,
    payload TEXT,
    created_at TEXT
);

CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,             -- given by the counter `approval`, before the record is stored
    run_id INTEGER NOT NULL REFERENCES runs (id),
    seq INTEGER NOT NULL,
    subject TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    expires_at TEXT,
    decision TEXT,
    closed_at TEXT                      -- when it was no longer asked, without a decision
);
CREATE INDEX approvals_open ON approvals (id) WHERE decision IS NULL AND closed_at IS NULL;
CREATE INDEX approvals_open_of_run ON approvals (run_id, id) WHERE decision IS NULL AND closed_at IS NULL;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('approval', 0);

CREATE TABLE blobs (
    id TEXT PRIMARY KEY,                -- the SHA-256 of the content
    size INTEGER NOT NULL,
    content BLOB                        -- NULL: in a file of the blob folder
);
