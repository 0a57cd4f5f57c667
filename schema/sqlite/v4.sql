-- Which closes a listing that goes on has not seen: runs are numbered in the order in which their closes were
-- written. Runs that closed under an earlier version have no number: they closed before every listing.
ALTER TABLE visibility ADD COLUMN closed_number INTEGER;
CREATE INDEX visibility_by_close ON visibility (closed_number) WHERE closed_number IS NOT NULL;

-- How many rows there are of each kind, kept by the triggers below: counts that ask for no more than these columns
-- say are sums over few rows.
CREATE TABLE visibility_count (
    scope      BLOB    NOT NULL,
    type_name  TEXT    NOT NULL,
    task_queue TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    PRIMARY KEY (scope, type_name, task_queue, status)
) WITHOUT ROWID;

INSERT INTO visibility_count (scope, type_name, task_queue, status, number)
    SELECT scope, type_name, task_queue, status, count(*) FROM visibility
    GROUP BY scope, type_name, task_queue, status;

CREATE TRIGGER visibility_counted AFTER INSERT ON visibility BEGIN
    INSERT INTO visibility_count (scope, type_name, task_queue, status, number)
        VALUES (new.scope, new.type_name, new.task_queue, new.status, 1)
        ON CONFLICT DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER visibility_recounted AFTER UPDATE OF status ON visibility WHEN new.status <> old.status BEGIN
    UPDATE visibility_count SET number = number - 1
        WHERE scope = old.scope AND type_name = old.type_name AND task_queue = old.task_queue AND status = old.status;
    INSERT INTO visibility_count (scope, type_name, task_queue, status, number)
        VALUES (new.scope, new.type_name, new.task_queue, new.status, 1)
        ON CONFLICT DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER visibility_uncounted AFTER DELETE ON visibility BEGIN
    UPDATE visibility_count SET number = number - 1
        WHERE scope = old.scope AND type_name = old.type_name AND task_queue = old.task_queue AND status = old.status;
    DELETE FROM visibility_count
        WHERE scope = old.scope AND type_name = old.type_name AND task_queue = old.task_queue AND status = old.status
            AND number = 0;
END;
