-- What the recorder inserts passes through two tables that store nothing; views write the tables below from it.
-- Every one of them keeps, for each key, the row of the highest version, so that inserting again changes nothing.
-- Keys leave out when a message was created: an event that was published twice is one message with two such times.

CREATE TABLE IF NOT EXISTS outcomes
(
    organization_id String,
    webhook_id String,
    event_type LowCardinality(String),
    message_id String,
    workspace_id String,
    run UInt32,
    attempt UInt32,
    status Enum8('pending' = 1, 'in_progress' = 2, 'failed' = 3, 'successful' = 4),
    message_created_on Int64,
    due_at Int64,
    executed_on Nullable(Int64),
    duration_ms Nullable(UInt32),
    response_code Nullable(UInt16),
    error String,
    reason LowCardinality(String),
    target_host String,
    next_attempt_at Nullable(Int64),
    request_url String,
    request_headers Map(String, String),
    response_headers Map(String, String),
    response_body String,
    response_truncated Bool,
    CONSTRAINT identified CHECK organization_id != '' AND webhook_id != '' AND message_id != '',
    CONSTRAINT counted CHECK run BETWEEN 1 AND 65535 AND attempt BETWEEN 1 AND 255,
    CONSTRAINT in_this_century CHECK message_created_on BETWEEN 1500000000000 AND 4102444800000
        AND due_at BETWEEN 1500000000000 AND 4102444800000
        AND ifNull(executed_on, 1500000000000) BETWEEN 1500000000000 AND 4102444800000
        AND ifNull(next_attempt_at, 1500000000000) BETWEEN 1500000000000 AND 4102444800000
)
ENGINE = Null;

CREATE TABLE IF NOT EXISTS queued
(
    organization_id String,
    webhook_id String,
    event_type LowCardinality(String),
    message_id String,
    workspace_id String,
    run UInt32,
    attempt UInt32,
    message_created_on Int64,
    due_at Int64,
    body String,
    CONSTRAINT identified CHECK organization_id != '' AND webhook_id != '' AND message_id != '',
    CONSTRAINT counted CHECK run BETWEEN 1 AND 65535 AND attempt BETWEEN 1 AND 255,
    CONSTRAINT in_this_century CHECK message_created_on BETWEEN 1500000000000 AND 4102444800000
        AND due_at BETWEEN 1500000000000 AND 4102444800000
)
ENGINE = Null;

-- One row for each attempt. The version is its status, then the time of it: of two executions of one attempt, the
-- successful one stays, else the later one, in whatever order they are inserted.
CREATE TABLE IF NOT EXISTS attempt_states
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    message_id String CODEC(ZSTD(1)),
    run UInt16,
    attempt UInt8,
    version UInt64 CODEC(ZSTD(1)),
    event_type LowCardinality(String),
    status Enum8('pending' = 1, 'in_progress' = 2, 'failed' = 3, 'successful' = 4),
    message_created_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    due_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    executed_on Nullable(DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)),
    at DateTime64(3, 'UTC') MATERIALIZED ifNull(executed_on, due_at) CODEC(Delta, ZSTD(1)),
    duration_ms Nullable(UInt32) CODEC(ZSTD(1)),
    response_code Nullable(UInt16) CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    reason LowCardinality(String),
    target_host LowCardinality(String)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(message_created_on)
ORDER BY (organization_id, webhook_id, message_id, run, attempt)
TTL toDateTime(at) + INTERVAL 28 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_to_attempt_states TO attempt_states AS
SELECT
    o.organization_id AS organization_id,
    o.webhook_id AS webhook_id,
    o.message_id AS message_id,
    toUInt16(o.run) AS run,
    toUInt8(o.attempt) AS attempt,
    bitShiftLeft(toUInt64(o.status), 48) + toUInt64(ifNull(o.executed_on, o.due_at)) AS version,
    o.event_type AS event_type,
    o.status AS status,
    fromUnixTimestamp64Milli(o.message_created_on, 'UTC') AS message_created_on,
    fromUnixTimestamp64Milli(o.due_at, 'UTC') AS due_at,
    fromUnixTimestamp64Milli(o.executed_on, 'UTC') AS executed_on,
    o.duration_ms AS duration_ms,
    o.response_code AS response_code,
    o.error AS error,
    o.reason AS reason,
    o.target_host AS target_host
FROM outcomes AS o;

-- A failed attempt with another to come stands for that one too.
CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_to_next_attempt_states TO attempt_states AS
SELECT
    o.organization_id AS organization_id,
    o.webhook_id AS webhook_id,
    o.message_id AS message_id,
    toUInt16(o.run) AS run,
    toUInt8(o.attempt + 1) AS attempt,
    bitShiftLeft(toUInt64(1), 48) + toUInt64(assumeNotNull(o.next_attempt_at)) AS version,
    o.event_type AS event_type,
    'pending' AS status,
    fromUnixTimestamp64Milli(o.message_created_on, 'UTC') AS message_created_on,
    fromUnixTimestamp64Milli(assumeNotNull(o.next_attempt_at), 'UTC') AS due_at,
    o.target_host AS target_host
FROM outcomes AS o
WHERE o.status = 'failed' AND o.next_attempt_at IS NOT NULL AND o.attempt < 255;

CREATE MATERIALIZED VIEW IF NOT EXISTS queued_to_attempt_states TO attempt_states AS
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
FROM queued AS q;

-- One row for each message, its columns the greatest or the union of what was inserted. `state` is ordered by its
-- rank: a success above everything, the first run's above a later one's; else the latest run, attempt and step of it.
-- `made` holds run * 256 + attempt of each attempt that was executed.
CREATE TABLE IF NOT EXISTS message_states
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    message_id String CODEC(ZSTD(1)),
    event_type SimpleAggregateFunction(max, LowCardinality(String)),
    workspace_id SimpleAggregateFunction(max, String) CODEC(ZSTD(1)),
    created_on SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)),
    runs SimpleAggregateFunction(max, UInt16),
    made SimpleAggregateFunction(groupUniqArrayArray, Array(UInt32)) CODEC(ZSTD(1)),
    state SimpleAggregateFunction(max, Tuple(
        rank UInt32,
        finished_on DateTime64(3, 'UTC'),
        status Enum8('pending' = 1, 'in_progress' = 2, 'failed' = 3, 'successful' = 4))) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(created_on)
ORDER BY (organization_id, webhook_id, message_id)
TTL toDateTime(created_on) + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_to_message_states TO message_states AS
SELECT
    o.organization_id AS organization_id,
    o.webhook_id AS webhook_id,
    o.message_id AS message_id,
    o.event_type AS event_type,
    o.workspace_id AS workspace_id,
    fromUnixTimestamp64Milli(o.message_created_on, 'UTC') AS created_on,
    toUInt16(o.run) AS runs,
    if(o.status = 'pending', [], [toUInt32(o.run * 256 + o.attempt)]) AS made,
    CAST(
        (
            multiIf(
                o.status = 'successful', 4294967295 - o.run,
                o.run * 2048 + o.attempt * 8 + toUInt8(o.status)),
            if(
                o.status = 'successful' OR (o.status = 'failed' AND o.next_attempt_at IS NULL),
                fromUnixTimestamp64Milli(ifNull(o.executed_on, o.due_at) + ifNull(o.duration_ms, 0), 'UTC'),
                fromUnixTimestamp64Milli(0, 'UTC')),
            if(o.status = 'failed' AND o.next_attempt_at IS NOT NULL, 'pending', toString(o.status))
        ),
        'Tuple(rank UInt32, finished_on DateTime64(3, ''UTC''), status Enum8(''pending'' = 1, ''in_progress'' = 2, ''failed'' = 3, ''successful'' = 4))'
    ) AS state
FROM outcomes AS o;

CREATE MATERIALIZED VIEW IF NOT EXISTS queued_to_message_states TO message_states AS
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
FROM queued AS q;

-- What was sent, once a message. Small granules: a read is of one body, not of megabytes beside it.
CREATE TABLE IF NOT EXISTS message_bodies
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    message_id String CODEC(ZSTD(1)),
    message_created_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    body String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(message_created_on)
ORDER BY (organization_id, webhook_id, message_id)
TTL toDateTime(message_created_on) + INTERVAL 28 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 512, index_granularity_bytes = 1048576;

CREATE MATERIALIZED VIEW IF NOT EXISTS queued_to_message_bodies TO message_bodies AS
SELECT
    q.organization_id AS organization_id,
    q.webhook_id AS webhook_id,
    q.message_id AS message_id,
    fromUnixTimestamp64Milli(q.message_created_on, 'UTC') AS message_created_on,
    q.body AS body
FROM queued AS q;

-- What was asked and answered in each attempt, but for the body that was sent.
CREATE TABLE IF NOT EXISTS attempt_details
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    message_id String CODEC(ZSTD(1)),
    run UInt16,
    attempt UInt8,
    version UInt64 CODEC(ZSTD(1)),
    executed_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    message_created_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    request_url String CODEC(ZSTD(3)),
    request_headers Map(String, String) CODEC(ZSTD(3)),
    response_headers Map(String, String) CODEC(ZSTD(3)),
    response_body String CODEC(ZSTD(3)),
    response_truncated Bool
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(message_created_on)
ORDER BY (organization_id, webhook_id, message_id, run, attempt)
TTL toDateTime(executed_on) + INTERVAL 28 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, index_granularity_bytes = 1048576;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_to_attempt_details TO attempt_details AS
SELECT
    o.organization_id AS organization_id,
    o.webhook_id AS webhook_id,
    o.message_id AS message_id,
    toUInt16(o.run) AS run,
    toUInt8(o.attempt) AS attempt,
    bitShiftLeft(toUInt64(o.status), 48) + toUInt64(ifNull(o.executed_on, o.due_at)) AS version,
    fromUnixTimestamp64Milli(ifNull(o.executed_on, o.due_at), 'UTC') AS executed_on,
    fromUnixTimestamp64Milli(o.message_created_on, 'UTC') AS message_created_on,
    o.request_url AS request_url,
    o.request_headers AS request_headers,
    o.response_headers AS response_headers,
    o.response_body AS response_body,
    o.response_truncated AS response_truncated
FROM outcomes AS o
WHERE o.request_url != '';
