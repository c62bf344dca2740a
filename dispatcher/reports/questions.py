"""Questions that analysts ask, as SQL over what the contract gives them: attempts, messages and the success rates.

Each is one text with places to fill in: docs/querying.md has expressions to copy there, ``dispatcher report`` has
parameters. ``$from`` to ``$until`` is the period, ``$before`` as long a time before it begins; ``$only`` are further
conditions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template


@dataclass(frozen=True, slots=True)
class Question:
    """A question, what is worth knowing about its answer, and how ClickHouse is asked."""

    name: str
    title: str
    note: str
    template: str

    def sql(self, places: Mapping[str, str]) -> str:
        """The statement; a KeyError where a place is not filled in."""
        lines = Template(self.template.strip()).substitute(places).splitlines()
        return "\n".join(line.rstrip() for line in lines if line.strip())


SUCCESS_BY_ORGANIZATION = Question(
    "success_by_organization",
    "What is each organization's success rate this week?",
    "Messages count, not attempts, in the hour in which they ended; one that a retry saved is a success.",
    """
SELECT
    organization_id,
    sum(h.successful) AS successes,
    sum(h.failed) AS failures,
    round(successes / (successes + failures), 4) AS rate
FROM success_rate_hourly AS h
WHERE h.hour >= $from AND h.hour < $until $only
GROUP BY organization_id
ORDER BY rate, organization_id
LIMIT $limit
""",
)

SUCCESS_BY_EVENT_TYPE = Question(
    "success_by_event_type",
    "And by event type?",
    "The daily view has the same columns with `day` in the place of `hour`.",
    """
SELECT
    event_type,
    sum(h.successful) AS successes,
    sum(h.failed) AS failures,
    round(successes / (successes + failures), 4) AS rate
FROM success_rate_hourly AS h
WHERE h.hour >= $from AND h.hour < $until $only
GROUP BY event_type
ORDER BY rate, event_type
LIMIT $limit
""",
)

MESSAGES_OVER_TIME = Question(
    "messages_over_time",
    "How many messages ended each day, and how?",
    "What waits still is in none of the two columns.",
    """
SELECT
    $bucket AS $start,
    sum(h.successful) AS successes,
    sum(h.failed) AS failures
FROM success_rate_hourly AS h
WHERE h.hour >= $from AND h.hour < $until $only
GROUP BY $start
ORDER BY $start
""",
)

BUSIEST_HOURS = Question(
    "busiest_hours",
    "Which are the busiest hours of the day?",
    "Hours are UTC: `toHour(h.hour, 'Europe/Berlin')` asks for those of a place.",
    """
SELECT
    toHour(h.hour) AS hour_of_day,
    sum(h.successful + h.failed) AS messages
FROM success_rate_hourly AS h
WHERE h.hour >= $from AND h.hour < $until $only
GROUP BY hour_of_day
ORDER BY messages DESC, hour_of_day
LIMIT $limit
""",
)

DURATIONS = Question(
    "durations",
    "How long do attempts take?",
    "`quantileTiming` is made for milliseconds: exact up to a second, within 16 ms above, and 30 s at most.",
    """
SELECT
    count() AS attempts,
    quantileTiming(0.5)(assumeNotNull(duration_ms)) AS p50_ms,
    quantileTiming(0.95)(assumeNotNull(duration_ms)) AS p95_ms,
    quantileTiming(0.99)(assumeNotNull(duration_ms)) AS p99_ms,
    max(assumeNotNull(duration_ms)) AS longest_ms
FROM attempts
WHERE executed_on >= $from AND executed_on < $until AND duration_ms IS NOT NULL $only
HAVING attempts > 0
""",
)

SLOWEST_TARGETS = Question(
    "slowest_targets",
    "Which targets are the slowest?",
    "Those with a few attempts only are left out: one bad moment would put them first.",
    """
SELECT
    target_host,
    count() AS attempts,
    quantileTiming(0.5)(assumeNotNull(duration_ms)) AS p50_ms,
    quantileTiming(0.95)(assumeNotNull(duration_ms)) AS p95_ms
FROM attempts
WHERE executed_on >= $from AND executed_on < $until AND duration_ms IS NOT NULL $only
GROUP BY target_host
HAVING attempts >= 10
ORDER BY p95_ms DESC, target_host
LIMIT $limit
""",
)

FAILURES_BY_REASON = Question(
    "failures_by_reason",
    "Why do attempts fail?",
    "These are attempts: a message that failed twice and then arrived is here twice.",
    """
SELECT
    error AS reason,
    count() AS attempts,
    uniqExact(webhook_id) AS webhooks,
    round(attempts / sum(attempts) OVER (), 4) AS share
FROM attempts
WHERE status = 'failed' AND executed_on >= $from AND executed_on < $until $only
GROUP BY reason
ORDER BY attempts DESC, reason
LIMIT $limit
""",
)

WORSE_WEBHOOKS = Question(
    "worse_webhooks",
    "Which webhooks got worse since yesterday?",
    "Yesterday against the day before. Those that had nothing to send on one of the two days are left out.",
    """
SELECT
    organization_id,
    webhook_id,
    round(ok_before / all_before, 4) AS rate_before,
    round(ok_now / all_now, 4) AS rate_now,
    all_now AS messages
FROM
(
    SELECT
        organization_id,
        webhook_id,
        sumIf(h.successful, h.hour < $from) AS ok_before,
        sumIf(h.successful + h.failed, h.hour < $from) AS all_before,
        sumIf(h.successful, h.hour >= $from) AS ok_now,
        sumIf(h.successful + h.failed, h.hour >= $from) AS all_now
    FROM success_rate_hourly AS h
    WHERE h.hour >= $before AND h.hour < $until $only
    GROUP BY organization_id, webhook_id
)
WHERE all_before > 0 AND all_now > 0 AND rate_now < rate_before
ORDER BY rate_now - rate_before, webhook_id
LIMIT $limit
""",
)

ATTEMPTS_NEEDED = Question(
    "attempts_needed",
    "How many messages needed more than one attempt?",
    "`attempts` counts those that ended, also without a call, as when the webhook was disabled or the body too large:\n"
    "these have no `duration_ms` in the table `attempts`. It counts them over all runs, so `runs = 1` leaves out what\n"
    "somebody sent again (13): one that arrived at once, both times, would seem to have needed two.",
    """
SELECT
    attempts AS attempts_made,
    count() AS all_messages,
    countIf(status = 'successful') AS successes,
    round(all_messages / sum(all_messages) OVER (), 4) AS share
FROM messages
WHERE created_on >= $from AND created_on < $until AND runs = 1 AND status IN ('successful', 'failed') $only
GROUP BY attempts_made
ORDER BY attempts_made
""",
)

TIME_TO_SUCCESS = Question(
    "time_to_success",
    "How long does it take until a message has arrived?",
    "From the event's match to the end of the answer that was a success, retries and waiting included; without what\n"
    "somebody sent again, which ended last when that was done.",
    """
SELECT
    if(attempts = 1, 'first attempt', 'later attempt') AS succeeded_at,
    count() AS all_messages,
    round(quantileExact(0.5)(seconds), 3) AS p50_seconds,
    round(quantileExact(0.95)(seconds), 3) AS p95_seconds,
    round(max(seconds), 3) AS longest_seconds
FROM
(
    SELECT attempts, dateDiff('millisecond', created_on, assumeNotNull(finished_on)) / 1000 AS seconds
    FROM messages
    WHERE created_on >= $from AND created_on < $until AND runs = 1 AND status = 'successful' $only
)
GROUP BY succeeded_at
ORDER BY succeeded_at
""",
)

FAILING_WEBHOOKS = Question(
    "failing_webhooks",
    "Which webhooks lost the most messages?",
    "A message has failed when its last attempt has; nobody will try again unless somebody resends it.",
    """
SELECT
    organization_id,
    webhook_id,
    sum(h.failed) AS failures,
    round(failures / sum(h.successful + h.failed), 4) AS share_failed
FROM success_rate_hourly AS h
WHERE h.hour >= $from AND h.hour < $until $only
GROUP BY organization_id, webhook_id
HAVING failures > 0
ORDER BY failures DESC, webhook_id
LIMIT $limit
""",
)

WAITING = Question(
    "waiting",
    "What is still on its way?",
    "`pending` waits for an attempt, the first or the next one; `in_progress` is being sent. Today's are among them.\n"
    "Asked about a month and not a week: what is 28 days old can be sent again, and waits then.",
    """
SELECT
    organization_id,
    status,
    attempts AS attempts_made,
    count() AS all_messages
FROM messages
WHERE created_on >= $from AND status IN ('pending', 'in_progress') $only
GROUP BY organization_id, status, attempts_made
ORDER BY organization_id, status, attempts_made
""",
)

RESENT = Question(
    "resent",
    "How do messages stand that were sent again?",
    "A resend is another run of the same message, which may have failed before or have arrived.",
    """
SELECT
    status,
    count() AS all_messages,
    max(runs) AS most_runs
FROM messages
WHERE created_on >= $from AND created_on < $until AND runs > 1 $only
GROUP BY status
ORDER BY status
""",
)

DEVICES = Question(
    "devices",
    "Whose devices' messages fail most?",
    "`workspace_id` is the device's, for events that are about one; else it is empty.",
    """
SELECT
    organization_id,
    workspace_id,
    count() AS all_messages,
    countIf(status = 'failed') AS failures
FROM messages
WHERE created_on >= $from AND created_on < $until AND workspace_id != '' $only
GROUP BY organization_id, workspace_id
ORDER BY failures DESC, organization_id, workspace_id
LIMIT $limit
""",
)

QUESTIONS = (
    SUCCESS_BY_ORGANIZATION,
    SUCCESS_BY_EVENT_TYPE,
    MESSAGES_OVER_TIME,
    BUSIEST_HOURS,
    FAILURES_BY_REASON,
    FAILING_WEBHOOKS,
    WORSE_WEBHOOKS,
    SLOWEST_TARGETS,
    DURATIONS,
    ATTEMPTS_NEEDED,
    TIME_TO_SUCCESS,
    WAITING,
    RESENT,
    DEVICES,
)
