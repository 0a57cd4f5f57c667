-- Backlogs are read in fair order: by priority level (0 is served first), then by pass, the number that shares
-- a level out between fairness keys, then by id. Tasks written by earlier versions keep their order at the default level.

CREATE TABLE queue_task (
    queue      INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    pass       INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    fair_key   INTEGER,
    created_at INTEGER,
    expires_at INTEGER,
    task       BLOB,
    PRIMARY KEY (queue, level, pass, id)
) WITHOUT ROWID;

INSERT INTO queue_task (queue, level, pass, id, fair_key, created_at, expires_at, task)
    SELECT queue, 2, 0, id, 0, unixepoch() * 1000000000, expires_at, task FROM backlog;

DROP TABLE backlog;
