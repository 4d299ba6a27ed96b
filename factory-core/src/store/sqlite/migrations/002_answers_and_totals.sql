-- Answers to requests that are done at most once, and sums that are kept by the writes that change them.
CREATE TABLE answers (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (created_at);

CREATE TABLE usage_totals (
    day TEXT NOT NULL,
    project_id INTEGER NOT NULL,        -- 0: none. A removed project's number stays
    model TEXT NOT NULL,
    runs INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    turns INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    estimated_tokens INTEGER NOT NULL DEFAULT 0,
    cost_micros INTEGER NOT NULL DEFAULT 0,
    work_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, project_id, model)
) WITHOUT ROWID;
-- What was spent before sums were kept is put on the day on which its run was filed.
INSERT INTO usage_totals
SELECT
    coalesce(substr(created_at, 1, 10), '1970-01-01'),
    coalesce(project_id, 0),
    coalesce(spec ->> '$.model', ''),
    count(*),
    coalesce(sum(usage ->> '$.calls'), 0),
    coalesce(sum(usage ->> '$.turns'), 0),
    coalesce(sum(usage ->> '$.prompt_tokens'), 0),
    coalesce(sum(usage ->> '$.completion_tokens'), 0),
    coalesce(sum(usage ->> '$.cached_tokens'), 0),
    coalesce(sum(usage ->> '$.estimated_tokens'), 0),
    coalesce(sum(usage ->> '$.cost_micros'), 0),
    coalesce(sum(usage ->> '$.work_ms'), 0)
FROM runs
GROUP BY 1, 2, 3;

CREATE TABLE run_counts (
    status TEXT PRIMARY KEY,
    runs INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO run_counts SELECT status, count(*) FROM runs GROUP BY status;

CREATE INDEX approvals_of_run ON approvals (run_id, id);
