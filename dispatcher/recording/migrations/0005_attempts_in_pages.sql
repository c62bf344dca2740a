-- What a page shows of a finished attempt stands beside its time. Rows that were inserted before do not have it (`told`
-- is 0): they are looked up until they are gone, after 28 days.
ALTER TABLE attempt_times
    ADD COLUMN IF NOT EXISTS told UInt8,
    ADD COLUMN IF NOT EXISTS duration_ms Nullable(UInt32) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS response_code Nullable(UInt16) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS error String CODEC(ZSTD(1));

ALTER TABLE attempt_states_to_attempt_times MODIFY QUERY
SELECT
    a.organization_id AS organization_id,
    a.webhook_id AS webhook_id,
    a.status AS status,
    assumeNotNull(a.executed_on) AS at,
    a.message_id AS message_id,
    a.run AS run,
    a.attempt AS attempt,
    a.message_created_on AS message_created_on,
    toUInt8(1) AS told,
    a.duration_ms AS duration_ms,
    a.response_code AS response_code,
    a.error AS error
FROM attempt_states AS a
WHERE a.status IN ('failed', 'successful') AND a.executed_on IS NOT NULL;
