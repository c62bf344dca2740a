-- A message's body is the one that was written to be sent first: it may be written again with another, when its event is
-- published twice, and is sent once. All stay, first the one that Kafka had first: of two in one batch, which have one
-- time, that of the lower offset. Rows that were inserted before say neither, and come first. What is sent again is what
-- is there.
ALTER TABLE message_bodies
    ADD COLUMN IF NOT EXISTS queued_on DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS log_offset Int64 CODEC(Delta, ZSTD(1)),
    MODIFY ORDER BY (organization_id, webhook_id, message_id, queued_on, log_offset);

ALTER TABLE queued
    ADD COLUMN IF NOT EXISTS log_offset Int64;

ALTER TABLE queued_to_message_bodies MODIFY QUERY
SELECT
    q.organization_id AS organization_id,
    q.webhook_id AS webhook_id,
    q.message_id AS message_id,
    fromUnixTimestamp64Milli(q.message_created_on, 'UTC') AS message_created_on,
    q.body AS body,
    fromUnixTimestamp64Milli(q.due_at, 'UTC') AS queued_on,
    q.log_offset AS log_offset
FROM queued AS q
WHERE q.run = 1;
