-- Makes room for our tables in a database that has the older ones. Runs before 001_tables.sql, in its transaction.
ALTER TABLE projects RENAME TO former_projects;
ALTER TABLE runs RENAME TO former_runs;
ALTER TABLE events RENAME TO former_events;
