-- What the overview shows of the messages that were created on a day (UTC): how many ended on which days. Written from
-- the rows of closed_hours after these, a webhook's day at once; of two rows the one that began to be counted later
-- stands. `by_hour` is the same by the hour of creation, for a day of which some hours have been touched since: they
-- are left out of it, and counted from the messages.
-- There is no copying: recorders begin with all days that lack theirs.
CREATE TABLE IF NOT EXISTS closed_days
(
    organization_id LowCardinality(String),
    webhook_id LowCardinality(String),
    day Date CODEC(Delta, ZSTD(1)),
    as_of DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    last_day Date CODEC(Delta, ZSTD(1)),
    ended Nested(
        on Date,
        successful UInt32,
        failed UInt32) CODEC(ZSTD(1)),
    by_hour Nested(
        hour DateTime('UTC'),
        on Date,
        successful UInt32,
        failed UInt32) CODEC(ZSTD(1)),
    INDEX by_last_day last_day TYPE minmax
)
ENGINE = ReplacingMergeTree(as_of)
PARTITION BY toYYYYMM(day)
ORDER BY (organization_id, day, webhook_id)
TTL day + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;
