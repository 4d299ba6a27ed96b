-- Takes every row of the older tables over. Runs after 001_tables.sql, in its transaction.
-- What an older program left NULL becomes what its schema meant; a name that is taken gets its number.
INSERT INTO projects (id, name, local_path, created_at)
SELECT id,
    CASE
        WHEN name IS NULL THEN 'project ' || id
        WHEN row_number() OVER (PARTITION BY CAST(name AS TEXT) ORDER BY id) > 1 THEN CAST(name AS TEXT) || ' (' || id || ')'
        ELSE CAST(name AS TEXT)
    END,
    coalesce(local_path, ''),
    created_at
FROM former_projects ORDER BY id;

-- Nothing starts by itself: what waited or ran is paused, and so is what waits for an approval that was never asked
-- for in a way that we could show. The rows that are paused here are told by an event each, see seed.rs.
INSERT INTO runs (
    id, project_id, former_project_id, goal, status, former_status, reason, current_iteration, created_at, updated_at,
    last_seq
)
SELECT run.id,
    project.id,
    CASE WHEN project.id IS NULL THEN run.project_id END,
    coalesce(CAST(run.goal AS TEXT), ''),
    CASE WHEN run.status IN ('PAUSED', 'COMPLETE', 'FAILED', 'STOPPED') THEN run.status ELSE 'PAUSED' END,
    CASE WHEN run.status NOT IN ('QUEUED', 'RUNNING', 'PAUSED', 'COMPLETE', 'FAILED', 'STOPPED') THEN run.status END,
    CASE WHEN run.status IN ('PAUSED', 'COMPLETE', 'FAILED', 'STOPPED') THEN NULL ELSE 'interrupted' END,
    max(0, coalesce(CAST(run.current_iteration AS INTEGER), 0)),
    run.created_at,
    run.created_at,
    0
FROM former_runs AS run LEFT JOIN projects AS project ON project.id = run.project_id
ORDER BY run.id;

INSERT INTO events (id, run_id, seq, type, payload, created_at)
SELECT id, run_id, row_number() OVER (PARTITION BY run_id ORDER BY id), coalesce(CAST(type AS TEXT), ''), payload, created_at
FROM former_events WHERE run_id IN (SELECT id FROM runs) ORDER BY id;

INSERT INTO orphaned_events (id, run_id, type, payload, created_at)
SELECT id, run_id, type, payload, created_at
FROM former_events WHERE run_id IS NULL OR run_id NOT IN (SELECT id FROM runs);

UPDATE runs SET
    last_seq = (SELECT max(seq) FROM events WHERE run_id = runs.id),
    updated_at = (SELECT created_at FROM events WHERE run_id = runs.id ORDER BY seq DESC LIMIT 1)
WHERE EXISTS (SELECT 1 FROM events WHERE run_id = runs.id);

-- A number that a lost row was once known by is not given again either. Above 2^53 it is no number that a program gave.
INSERT INTO sqlite_sequence (name, seq)
SELECT wanted.name, 0 FROM (SELECT 'projects' AS name UNION ALL SELECT 'runs' UNION ALL SELECT 'events') AS wanted
WHERE wanted.name NOT IN (SELECT name FROM sqlite_sequence);
UPDATE sqlite_sequence SET seq = max(seq, coalesce((
    SELECT max(former_project_id) FROM runs
    WHERE typeof(former_project_id) = 'integer' AND former_project_id < 9007199254740992
), 0)) WHERE name = 'projects';
UPDATE sqlite_sequence SET seq = max(seq, coalesce((
    SELECT max(run_id) FROM orphaned_events WHERE typeof(run_id) = 'integer' AND run_id < 9007199254740992
), 0)) WHERE name = 'runs';
UPDATE sqlite_sequence SET seq = max(seq, coalesce((
    SELECT max(id) FROM orphaned_events WHERE id < 9007199254740992
), 0)) WHERE name = 'events';

DROP TABLE former_events;
DROP TABLE former_runs;
DROP TABLE former_projects;
