-- What analysts query, without knowing of versions and merges.

CREATE VIEW IF NOT EXISTS attempts AS
SELECT
    organization_id,
    webhook_id,
    event_type,
    message_id,
    toUInt8(least(run, 255)) AS run,
    attempt,
    toString(status) AS status,
    executed_on,
    duration_ms,
    response_code,
    error,
    target_host,
    due_at,
    message_created_on
FROM attempt_states FINAL
WHERE at >= now64(3, 'UTC') - INTERVAL 28 DAY;

CREATE VIEW IF NOT EXISTS messages AS
SELECT
    organization_id,
    webhook_id,
    toLowCardinality(toString(event_type)) AS event_type,
    message_id,
    toDateTime64(created_on, 3, 'UTC') AS created_on,
    toString(tupleElement(state, 'status')) AS status,
    toUInt8(least(length(made), 255)) AS attempts,
    toUInt8(least(runs, 255)) AS runs,
    if(
        tupleElement(state, 'status') IN ('successful', 'failed'),
        tupleElement(state, 'finished_on'),
        NULL) AS finished_on,
    toString(workspace_id) AS workspace_id
FROM message_states FINAL;

CREATE VIEW IF NOT EXISTS success_rate_hourly AS
SELECT
    organization_id,
    webhook_id,
    event_type,
    toStartOfHour(assumeNotNull(finished_on)) AS hour,
    countIf(status = 'successful') AS successful,
    countIf(status = 'failed') AS failed,
    if(successful + failed = 0, NULL, successful / (successful + failed)) AS success_rate
FROM messages
WHERE finished_on IS NOT NULL
GROUP BY organization_id, webhook_id, event_type, hour;

CREATE VIEW IF NOT EXISTS success_rate_daily AS
SELECT
    organization_id,
    webhook_id,
    event_type,
    toDate(assumeNotNull(finished_on)) AS day,
    countIf(status = 'successful') AS successful,
    countIf(status = 'failed') AS failed,
    if(successful + failed = 0, NULL, successful / (successful + failed)) AS success_rate
FROM messages
WHERE finished_on IS NOT NULL
GROUP BY organization_id, webhook_id, event_type, day;
