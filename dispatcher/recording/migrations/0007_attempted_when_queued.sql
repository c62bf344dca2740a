-- Of a first attempt whose outcome is recorded before it, only the body is kept: the outcome tells all the rest. That is
-- most of them, and saves a third of what an insert and its merges cost.
ALTER TABLE queued
    ADD COLUMN IF NOT EXISTS attempted Bool DEFAULT false;

ALTER TABLE queued_to_attempt_states MODIFY QUERY
SELECT
    q.organization_id AS organization_id,
    q.webhook_id AS webhook_id,
    q.message_id AS message_id,
    toUInt16(q.run) AS run,
    toUInt8(q.attempt) AS attempt,
    bitShiftLeft(toUInt64(1), 48) + toUInt64(q.due_at) AS version,
    q.event_type AS event_type,
    'pending' AS status,
    fromUnixTimestamp64Milli(q.message_created_on, 'UTC') AS message_created_on,
    fromUnixTimestamp64Milli(q.due_at, 'UTC') AS due_at
FROM queued AS q
WHERE NOT q.attempted;

ALTER TABLE queued_to_message_states MODIFY QUERY
SELECT
    q.organization_id AS organization_id,
    q.webhook_id AS webhook_id,
    q.message_id AS message_id,
    q.event_type AS event_type,
    q.workspace_id AS workspace_id,
    fromUnixTimestamp64Milli(q.message_created_on, 'UTC') AS created_on,
    toUInt16(q.run) AS runs,
    CAST([], 'Array(UInt32)') AS made,
    CAST(
        (q.run * 2048 + q.attempt * 8 + 1, fromUnixTimestamp64Milli(0, 'UTC'), 'pending'),
        'Tuple(rank UInt32, finished_on DateTime64(3, ''UTC''), status Enum8(''pending'' = 1, ''in_progress'' = 2, ''failed'' = 3, ''successful'' = 4))'
    ) AS state
FROM queued AS q
WHERE NOT q.attempted;
