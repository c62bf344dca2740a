-- Success rates are the sum of the closed hours' rows and of what is counted in the hours that may be open: those that
-- were touched since recorders closed all that was. Counting all messages that are kept took a minute at 100 million.

CREATE OR REPLACE VIEW success_rate_hourly AS
WITH
    toStartOfHour(now('UTC') - INTERVAL 28 DAY) AS kept_by_hour_since,
    toStartOfHour(now('UTC') - INTERVAL 13 MONTH) AS kept_since,
    open_hours AS
    (
        SELECT organization_id, webhook_id, hour
        FROM touched_hours
        WHERE touched_on >= (SELECT max(until) FROM looks WHERE name = 'closed_days')
    ),
    retold AS
    (
        SELECT organization_id, webhook_id, message_id
        FROM retold_messages
    )
SELECT
    organization_id,
    webhook_id,
    event_type,
    ended_in AS hour,
    sum(n_successful) AS successful,
    sum(n_failed) AS failed,
    if(successful + failed = 0, NULL, successful / (successful + failed)) AS success_rate
FROM
(
    SELECT
        organization_id,
        webhook_id,
        ended.event_type AS event_type,
        ended.hour AS ended_in,
        toUInt64(ended.successful) AS n_successful,
        toUInt64(ended.failed) AS n_failed
    FROM closed_hours AS c FINAL
    ARRAY JOIN ended
    WHERE c.hour >= kept_since AND (organization_id, webhook_id, c.hour) NOT IN open_hours
    UNION ALL
    SELECT
        organization_id,
        webhook_id,
        last_event_type AS event_type,
        toStartOfHour(tupleElement(last_state, 'finished_on')) AS ended_in,
        toUInt64(tupleElement(last_state, 'status') = 'successful') AS n_successful,
        toUInt64(tupleElement(last_state, 'status') = 'failed') AS n_failed
    FROM
    (
        SELECT organization_id, webhook_id, message_id, max(event_type) AS last_event_type, max(state) AS last_state
        FROM
        (
            SELECT organization_id, webhook_id, message_id, event_type, state
            FROM messages_by_hour
            WHERE hour >= kept_by_hour_since AND (organization_id, webhook_id, hour) IN open_hours
                AND (organization_id, webhook_id, message_id) NOT IN retold
            UNION ALL
            SELECT organization_id, webhook_id, message_id, event_type, state
            FROM message_states
            WHERE created_on >= kept_since AND created_on < kept_by_hour_since
                AND (organization_id, webhook_id, toStartOfHour(created_on)) IN open_hours
                AND (organization_id, webhook_id, message_id) NOT IN retold
            UNION ALL
            SELECT organization_id, webhook_id, message_id, event_type, state
            FROM message_states
            WHERE created_on >= kept_since AND (organization_id, webhook_id, message_id) IN retold
        )
        GROUP BY organization_id, webhook_id, message_id
    )
    WHERE tupleElement(last_state, 'status') IN ('successful', 'failed')
)
GROUP BY organization_id, webhook_id, event_type, hour
SETTINGS distributed_product_mode = 'local';

CREATE OR REPLACE VIEW success_rate_daily AS
SELECT
    organization_id,
    webhook_id,
    event_type,
    toDate(h.hour) AS day,
    sum(h.successful) AS successful,
    sum(h.failed) AS failed,
    if(successful + failed = 0, NULL, successful / (successful + failed)) AS success_rate
FROM success_rate_hourly AS h
GROUP BY organization_id, webhook_id, event_type, day;
