-- In which hours each message was told of, in the order of a number made of its key: whether a message of now was told
-- of before is found in a few hundred rows of each month, where it took a look at all ids that are kept.
CREATE TABLE IF NOT EXISTS message_hours
(
    webhook_id LowCardinality(String),
    key_hash UInt64 CODEC(NONE),
    hour DateTime('UTC') CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (key_hash, hour)
TTL hour + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1, index_granularity = 256;

CREATE MATERIALIZED VIEW IF NOT EXISTS message_states_to_message_hours TO message_hours AS
SELECT
    m.webhook_id AS webhook_id,
    cityHash64(m.organization_id, m.webhook_id, m.message_id) AS key_hash,
    toStartOfHour(m.created_on) AS hour
FROM message_states AS m;

-- What was recorded before: of the last weeks each hour of a message, of the time before the earliest, which is what a
-- merge has left.
INSERT INTO message_hours
SELECT webhook_id, cityHash64(organization_id, webhook_id, message_id) AS key_hash, hour
FROM messages_by_hour
WHERE toDate(hour) = toDate(now('UTC')) - {days_ago};

INSERT INTO message_hours
SELECT webhook_id, cityHash64(organization_id, webhook_id, message_id) AS key_hash, toStartOfHour(created_on) AS hour
FROM message_states
WHERE toYYYYMM(created_on) = toYYYYMM(now('UTC') - INTERVAL {months_ago} MONTH)
    AND created_on < toDate(now('UTC')) - 27;

-- What came since a moment is found without the rest.
ALTER TABLE messages_by_hour
    ADD INDEX IF NOT EXISTS by_first_seen first_seen TYPE minmax;

-- A cast, unlike toDateTime64, lets a condition on created_on choose among the months
-- (with do_not_merge_across_partitions_select_final).
CREATE OR REPLACE VIEW messages AS
SELECT
    organization_id,
    webhook_id,
    toLowCardinality(toString(event_type)) AS event_type,
    message_id,
    CAST(created_on, 'DateTime64(3, ''UTC'')') AS created_on,
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
