-- Visibility: a row for each run that lists show, under the run's number. `scope` is the namespace's key
-- and the division. `list_time` is what lists sort by: the close time, or the greatest number while the run
-- is open.
CREATE TABLE visibility (
    run                    INTEGER PRIMARY KEY,
    scope                  BLOB,
    archetype              INTEGER,
    workflow_id            TEXT,
    run_id                 TEXT,
    type_name              TEXT,
    task_queue             TEXT,
    parent_workflow_id     TEXT,
    parent_run_id          TEXT,
    -- The root's ids; none for a run that is its own root.
    root_workflow_id       TEXT,
    root_run_id            TEXT,
    start_time             INTEGER,
    execution_time         INTEGER,
    memo                   BLOB,
    attributes             BLOB,
    status                 INTEGER,
    list_time              INTEGER,
    history_length         INTEGER,
    history_size_bytes     INTEGER,
    execution_duration     INTEGER,
    state_transition_count INTEGER
);

-- Every index costs each start and most cost each close. Those in the order of lists hold what is asked
-- for most, so that a page or a count needs no row it does not show.
CREATE INDEX visibility_by_time ON visibility (scope, list_time DESC, start_time DESC, status);
CREATE INDEX visibility_by_type ON visibility (scope, type_name, list_time DESC, start_time DESC, status);
CREATE INDEX visibility_by_workflow ON visibility (scope, workflow_id);
CREATE INDEX visibility_by_run ON visibility (run_id);
CREATE INDEX visibility_by_queue ON visibility (scope, task_queue);
CREATE INDEX visibility_by_parent ON visibility (scope, parent_workflow_id) WHERE parent_workflow_id IS NOT NULL;
CREATE INDEX visibility_by_root ON visibility (scope, root_workflow_id) WHERE root_workflow_id IS NOT NULL;
-- The outcomes that are rare: neither running, completed nor continued as new.
CREATE INDEX visibility_by_outcome ON visibility (scope, status, list_time DESC, start_time DESC)
    WHERE status NOT IN (1, 2, 6);

-- Search attributes, any number of them. `field` is the type's letter and the name. A single value stands
-- at position 0, keywords of a list and words of a text at theirs; a text without words has one row without
-- a value.
CREATE TABLE visibility_attribute (
    run      INTEGER NOT NULL,
    field    TEXT    NOT NULL,
    position INTEGER NOT NULL,
    scope    BLOB,
    value,
    PRIMARY KEY (run, field, position)
) WITHOUT ROWID;
CREATE INDEX visibility_attribute_by_value ON visibility_attribute (scope, field, value, run);
