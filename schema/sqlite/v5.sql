-- The last number given to a close, so that none is given twice, whatever rows are removed.
ALTER TABLE run_sequence ADD COLUMN last_close INTEGER NOT NULL DEFAULT 0;
UPDATE run_sequence SET last_close =
    (SELECT coalesce(max(closed_number), 0) FROM visibility WHERE closed_number IS NOT NULL);

-- What has closed since a listing began is looked through for what stands behind its last page.
DROP INDEX visibility_by_close;
CREATE INDEX visibility_by_close ON visibility (scope, closed_number, start_time) WHERE closed_number IS NOT NULL;

-- Whoever writes rows of lists writes the changes of visibility_count too: summed over a transaction they are few.
DROP TRIGGER visibility_counted;
DROP TRIGGER visibility_recounted;
DROP TRIGGER visibility_uncounted;

-- Spans of times, and what closed runs are measured by.
CREATE INDEX visibility_by_start ON visibility (scope, start_time);
CREATE INDEX visibility_by_execution ON visibility (scope, execution_time);
CREATE INDEX visibility_by_duration ON visibility (scope, execution_duration) WHERE execution_duration IS NOT NULL;
CREATE INDEX visibility_by_length ON visibility (scope, history_length) WHERE history_length IS NOT NULL;
CREATE INDEX visibility_by_size ON visibility (scope, history_size_bytes) WHERE history_size_bytes IS NOT NULL;
CREATE INDEX visibility_by_transitions ON visibility (scope, state_transition_count)
    WHERE state_transition_count IS NOT NULL;
