-- Counts of what has come to rest, so that the portal need not count millions of rows for each page.
--
-- A message belongs to the hour (UTC) in which it was created, and so do its attempts, whenever they are made: whatever
-- is reported about it later, a retry or a resend after weeks, names that hour. An event that is published again in
-- another hour is the same message: such messages are found, left out of all hours, and counted by themselves. An hour of a webhook is open from when
-- something of it is inserted until it has been counted again; then its row in closed_hours stands for it.
-- Nothing is counted or summed as it is inserted: the views below copy keys.

-- When something of an hour was last inserted.
CREATE TABLE IF NOT EXISTS touched_hours
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    touched_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    INDEX by_touch touched_on TYPE minmax
)
ENGINE = ReplacingMergeTree(touched_on)
PARTITION BY toYYYYMM(hour)
ORDER BY (organization_id, webhook_id, hour)
TTL hour + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS message_states_to_touched_hours TO touched_hours AS
SELECT DISTINCT
    m.organization_id AS organization_id,
    m.webhook_id AS webhook_id,
    toStartOfHour(m.created_on) AS hour,
    now64(3, 'UTC') AS touched_on
FROM message_states AS m;

-- The messages of the last weeks once more, an hour's beside each other: an open hour is read without the others.
CREATE TABLE IF NOT EXISTS messages_by_hour
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    first_seen SimpleAggregateFunction(min, DateTime('UTC')) CODEC(Delta, ZSTD(1)),
    event_type SimpleAggregateFunction(max, LowCardinality(String)),
    state SimpleAggregateFunction(max, Tuple(
        rank UInt32,
        finished_on DateTime64(3, 'UTC'),
        status Enum8('pending' = 1, 'in_progress' = 2, 'failed' = 3, 'successful' = 4))) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (organization_id, webhook_id, hour, message_id)
TTL hour + INTERVAL 29 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

CREATE MATERIALIZED VIEW IF NOT EXISTS message_states_to_messages_by_hour TO messages_by_hour AS
SELECT
    m.organization_id AS organization_id,
    m.webhook_id AS webhook_id,
    toStartOfHour(m.created_on) AS hour,
    m.message_id AS message_id,
    now('UTC') AS first_seen,
    m.event_type AS event_type,
    m.state AS state
FROM message_states AS m;

-- Messages that were told of in more than one hour, and which these are. Finding one opens its hours.
CREATE TABLE IF NOT EXISTS retold_messages
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    message_id String CODEC(ZSTD(1)),
    hour DateTime('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (organization_id, webhook_id, message_id, hour)
TTL hour + INTERVAL 14 MONTH;

CREATE MATERIALIZED VIEW IF NOT EXISTS retold_messages_to_touched_hours TO touched_hours AS
SELECT DISTINCT
    r.organization_id AS organization_id,
    r.webhook_id AS webhook_id,
    r.hour AS hour,
    now64(3, 'UTC') AS touched_on
FROM retold_messages AS r;

-- Up to when recorders have looked for them.
CREATE TABLE IF NOT EXISTS looks
(
    name String,
    until DateTime('UTC')
)
ENGINE = ReplacingMergeTree(until)
ORDER BY name;

-- Finished attempts by time. A row is a hint: where an attempt was executed twice, attempt_states says which one counts.
CREATE TABLE IF NOT EXISTS attempt_times
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    status Enum8('pending' = 1, 'in_progress' = 2, 'failed' = 3, 'successful' = 4),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    run UInt16,
    attempt UInt8,
    message_created_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(at)
ORDER BY (organization_id, webhook_id, status, at, message_id, run, attempt)
TTL toDateTime(at) + INTERVAL 28 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS attempt_states_to_attempt_times TO attempt_times AS
SELECT
    a.organization_id AS organization_id,
    a.webhook_id AS webhook_id,
    a.status AS status,
    assumeNotNull(a.executed_on) AS at,
    a.message_id AS message_id,
    a.run AS run,
    a.attempt AS attempt,
    a.message_created_on AS message_created_on
FROM attempt_states AS a
WHERE a.status IN ('failed', 'successful') AND a.executed_on IS NOT NULL;

-- What was recorded before, a day or a month at a time.

INSERT INTO messages_by_hour
SELECT organization_id, webhook_id, toStartOfHour(created_on) AS hour, message_id, now('UTC') AS first_seen,
    event_type, state
FROM message_states
WHERE toDate(created_on) = toDate(now('UTC')) - {days_ago};

INSERT INTO attempt_times (organization_id, webhook_id, status, at, message_id, run, attempt, message_created_on)
SELECT organization_id, webhook_id, status, assumeNotNull(executed_on), message_id, run, attempt, message_created_on
FROM attempt_states
WHERE toDate(message_created_on) = toDate(now('UTC')) - {days_ago}
    AND status IN ('failed', 'successful') AND executed_on IS NOT NULL;

INSERT INTO touched_hours
SELECT DISTINCT organization_id, webhook_id, toStartOfHour(created_on) AS hour, now64(3, 'UTC') AS touched_on
FROM message_states
WHERE toYYYYMM(created_on) = toYYYYMM(now('UTC') - INTERVAL {months_ago} MONTH);

-- What an hour came to, as of a moment: the row with the latest one stands. `ended` has the messages by the hour in
-- which they ended; `made` the attempts by the hour of their execution and how long they took (-1: called nobody).
-- It comes last: whoever reads asks it too, and is told that it is missing until the copies above are complete.
CREATE TABLE IF NOT EXISTS closed_hours
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    as_of DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    pending UInt32 CODEC(ZSTD(1)),
    in_progress UInt32 CODEC(ZSTD(1)),
    successful UInt32 CODEC(ZSTD(1)),
    failed UInt32 CODEC(ZSTD(1)),
    waiting UInt32 CODEC(ZSTD(1)),
    last_hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    ended Nested(
        event_type LowCardinality(String),
        hour DateTime('UTC'),
        successful UInt32,
        failed UInt32) CODEC(ZSTD(1)),
    made Nested(
        hour DateTime('UTC'),
        milliseconds Int32,
        attempts UInt32) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(as_of)
PARTITION BY toYYYYMM(hour)
ORDER BY (organization_id, webhook_id, hour)
TTL hour + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1, index_granularity = 512;

-- TTL leaves a month in place until all of it has gone; what is shown is 13 months.
CREATE OR REPLACE VIEW messages AS
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
FROM message_states FINAL
WHERE created_on >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH);
