-- Keys are blobs made by perdure_persistence_sql::key: they sort as their parts do and start with the
-- shard, so one index serves look-ups and listings.
--
-- Rows of a run hang on a number given in order of birth. Runs that are active together then share
-- pages, and a commit dirties few of them whatever the ids look like.
--
-- Tables that are written many rows at a time have no constraints on their columns of values: a statement
-- that may fail half-way makes SQLite copy every page before it touches it.

CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL DEFAULT (unixepoch())
);

-- Numbers for runs are taken in blocks, so that making a run costs no write here.
CREATE TABLE run_sequence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    next_run INTEGER NOT NULL
);
INSERT INTO run_sequence (only_row, next_run) VALUES (1, 1);

CREATE TABLE shard (
    shard         INTEGER PRIMARY KEY,
    range_id      INTEGER NOT NULL,
    owner         TEXT    NOT NULL,
    immediate_ack INTEGER NOT NULL,
    timer_ack     INTEGER NOT NULL
);

CREATE TABLE execution (
    run     INTEGER PRIMARY KEY,
    key     BLOB    NOT NULL UNIQUE,
    version INTEGER,
    record  BLOB
);

CREATE TABLE current_run (
    business BLOB PRIMARY KEY,
    run_id   BLOB
) WITHOUT ROWID;

CREATE TABLE item (
    run   INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    value BLOB,
    PRIMARY KEY (run, kind, name)
) WITHOUT ROWID;

CREATE TABLE history (
    run      INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id  INTEGER,
    events   BLOB,
    PRIMARY KEY (run, first_id)
) WITHOUT ROWID;

CREATE TABLE immediate (
    shard    INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id  INTEGER,
    tasks    BLOB,
    PRIMARY KEY (shard, first_id)
) WITHOUT ROWID;

CREATE TABLE timer (
    shard   INTEGER NOT NULL,
    fire_at INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    task    BLOB,
    PRIMARY KEY (shard, fire_at, id)
) WITHOUT ROWID;

CREATE TABLE queue (
    queue    INTEGER PRIMARY KEY,
    key      BLOB    NOT NULL UNIQUE,
    range_id INTEGER NOT NULL,
    ack_id   INTEGER NOT NULL,
    record   BLOB
);

CREATE TABLE backlog (
    queue      INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    expires_at INTEGER,
    task       BLOB,
    PRIMARY KEY (queue, id)
) WITHOUT ROWID;

CREATE TABLE namespace (
    id      TEXT PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    record  BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE cluster_record (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    record  BLOB    NOT NULL
) WITHOUT ROWID;
