-- What queued runs wait for: their model's server, as `RunSpec::server` reads it from the model, and their project. The
-- first run of each such bucket is found by a walk over the index that takes one step a bucket.
ALTER TABLE runs ADD COLUMN server TEXT GENERATED ALWAYS AS (
    CASE
        WHEN instr(spec ->> '$.model', '@http') > 0
            THEN substr(spec ->> '$.model', instr(spec ->> '$.model', '@http') + 1)
        WHEN instr(spec ->> '$.model', ':') > 1
            AND substr(spec ->> '$.model', 1, instr(spec ->> '$.model', ':') - 1)
                NOT IN ('scripted', 'recorded', 'recorded-loose')
            THEN substr(spec ->> '$.model', 1, instr(spec ->> '$.model', ':') - 1)
        ELSE ''
    END
) VIRTUAL;
CREATE INDEX runs_in_buckets ON runs (server, coalesce(project_id, 0), priority DESC, id)
    WHERE status = 'QUEUED' AND claimed_by IS NULL;
