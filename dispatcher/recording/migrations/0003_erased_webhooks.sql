-- Webhooks of organizations that were erased: recorders leave out what is still reported about them. A webhook's id is
-- never used again, and after 60 days no topic holds a record of them any more.
CREATE TABLE IF NOT EXISTS erased_webhooks
(
    webhook_id String,
    erased_on DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY webhook_id
TTL toDateTime(erased_on) + INTERVAL 60 DAY;
