"""What the portal reads from ClickHouse, with many attempts: how long it takes, and how many bytes an attempt is.

``python -m benchmarks.clickhouse --attempts 1M`` generates attempts of 28 days inside the embedded engine, in a
directory that is removed afterwards: 10,000 webhooks (``--webhooks``), one of which has a tenth of all; the others'
sizes fall off, so that most are small. Rows go in as the recorder's do, in the order of time; nine of ten messages
succeed at once. It is measured while all hours are open, when all are closed, and with messages of the last half hour
beside them, which is how it usually is. A directory (``--directory``) that has attempts already is measured as it is.
``--questions`` asks what is in docs/querying.md too, at the end.
"""

import argparse
import asyncio
import functools
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.events import ORGANIZATION
from dispatcher.delivery.outcome import Status
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut
from dispatcher.recording.closing import close_hours
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.overview import RecentDeliveries
from dispatcher.recording.retelling import find_retold
from dispatcher.recording.schema import migrate
from dispatcher.reports.questions import QUESTIONS
from tools.querying import statement

DAYS = 28
LARGE = "wh-00000"
FILTERS: tuple[Status | None, ...] = (None, "successful", "pending", "failed", "in_progress")

_ON_A_PAGE = 50
_OPEN_MS = 1_800_000
_TIMES_WHEN_SLOW = 2
_AT_ONCE = 100_000
_SPAN_MS = DAYS * 86_400_000 - 3_600_000
_SIZES = {"K": 1_000, "M": 1_000_000}

# A message has 1.11 attempts on average: one of ten first attempts fails, and one of ten of the following.
_ATTEMPTS_OF_A_MESSAGE = 1.11

# `n` counts messages through time, so that what is inserted together was created together, as it is in life.
_OUTCOMES = """
    INSERT INTO outcomes (organization_id, webhook_id, event_type, message_id, workspace_id, run, attempt, status,
        message_created_on, due_at, executed_on, duration_ms, response_code, error, reason, target_host,
        next_attempt_at)
    WITH
        cityHash64(number, 1) AS chance,
        chance % 10 = 0 AS of_large,
        pow((cityHash64(number, 2) % 1000000) / 1000000, 3) AS spread,
        toUInt32(if(of_large, 0, 1 + floor(spread * ({webhooks:UInt32} - 1)))) AS webhook,
        {begin:UInt64} + intDiv(number * {span:UInt64}, {messages:UInt64}) AS created_on,
        toUInt8(1 + (cityHash64(number, 3) % 10 = 0) * (1 + (cityHash64(number, 4) % 10 = 0))) AS tries,
        arrayJoin(range(1, tries + 1)) AS made,
        [0, 5000, 305000][made] AS waited,
        created_on + 20 + waited AS began
    SELECT
        {organization:String}, 'wh-' || leftPad(toString(webhook), 5, '0'), 'operation_executed_in_workspace',
        'msg_' || substring(lower(hex(MD5(toString({begin:UInt64}) || toString(number)))), 1, 27),
        'ws-' || toString(cityHash64(number, 5) % 100000), 1, made,
        multiIf(made < tries OR (made = 3 AND cityHash64(number, 6) % 2 = 0), 'failed', 'successful'),
        created_on, began - 10, began, toUInt32(20 + pow(cityHash64(number, made, 7) % 1000, 2) / 900),
        if(made < tries, 503, 200), if(made < tries, 'the target answered 503', ''), if(made < tries, 'status', ''),
        'hooks' || toString(webhook % 300) || '.example.com',
        if(made < tries, began + 5000, NULL)
    FROM numbers({first:UInt64}, {count:UInt64})
    WHERE began < {now:UInt64}
"""


async def generate(clickhouse: ClickHouse, attempts: int, webhooks: int, span: int = _SPAN_MS) -> None:
    """Insert attempts of the last ``span`` milliseconds as a recorder does, in batches that follow time."""
    messages = round(attempts / _ATTEMPTS_OF_A_MESSAGE)
    now = int(time.time() * 1000)
    for first in range(0, messages, _AT_ONCE):
        parameters = {"begin": now - span, "span": span, "messages": messages, "now": now, "first": first}
        count = min(_AT_ONCE, messages - first)
        amounts = {"count": count, "webhooks": webhooks}
        await clickhouse.command(_OUTCOMES, {**parameters, **amounts, "organization": ORGANIZATION})


async def generate_the_last_half_hour(clickhouse: ClickHouse, attempts: int, webhooks: int) -> None:
    """Insert attempts of it, as dense as ``attempts`` in all days are."""
    await generate(clickhouse, attempts * _OPEN_MS // _SPAN_MS, webhooks, _OPEN_MS)


async def close_all_hours(clickhouse: ClickHouse) -> int:
    """Close what is open; how many hours of webhooks that was."""
    closed = await close_hours(clickhouse, settled=timedelta(milliseconds=-5))
    # The second in which hours were closed is not over for the overview: after it, none of it is left.
    await asyncio.sleep(1)
    await close_hours(clickhouse, settled=timedelta(milliseconds=-5))
    return closed


async def attempts_of(clickhouse: ClickHouse, webhook_id: str) -> int:
    """How many rows of attempts a webhook has."""
    of_webhook = "SELECT count() AS n FROM attempt_states WHERE webhook_id = {id:String}"
    return int((await clickhouse.query(of_webhook, {"id": webhook_id}))[0]["n"])


async def measured(read: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """The best of several and the processors' time of one, in milliseconds, after one that warms up."""
    took = []
    await read()
    used = time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        await read()
        took.append((time.perf_counter() - start) * 1000)
    return min(took), (time.process_time() - used) * 1000 / times


async def measure(clickhouse: ClickHouse, times: int, small: str) -> None:
    """Print what each reading takes, for the large webhook and for a small one, and for all."""
    log = DeliveryLog(clickhouse)
    until = datetime.now(UTC)
    since = until - timedelta(days=DAYS)
    reads: list[tuple[str, Callable[[str], Awaitable[object]]]] = [
        ("six cards", functools.partial(log.metrics, ORGANIZATION)),
        *(
            (f"attempts, {status or 'all'}", functools.partial(log.attempts, ORGANIZATION, status=status))
            for status in FILTERS
        ),
        ("plots by hour", lambda id: log.history(ORGANIZATION, id, "hour", since, until)),
        ("plots by day", lambda id: log.history(ORGANIZATION, id, "day", since, until)),
        ("Metrics tab", lambda id: _tab(log, id, until)),
    ]
    print(f"{'best and CPU':26}{LARGE:>22}{small:>22}")
    for what, read in reads:
        figures = [
            f"{ms:8.1f} ms" for id in (LARGE, small) for ms in await measured(functools.partial(read, id), times)
        ]
        print(f"{what:26}" + "".join(figures), flush=True)
    recent = RecentDeliveries(clickhouse)
    since_day = (until - timedelta(days=DAYS - 1)).date()
    ids = [f"wh-{number:05}" for number in range(_ON_A_PAGE)]
    for what, asked in ((f"overview, {_ON_A_PAGE} shown", ids), ("overview, by success rate", None)):
        ms, cpu = await measured(functools.partial(recent.by_webhook, ORGANIZATION, since_day, asked), times)
        print(f"{what:26}{ms:8.1f} ms{cpu:8.1f} ms", flush=True)


async def measure_questions(clickhouse: ClickHouse, times: int) -> None:
    """Print what each of the statements in docs/querying.md takes."""
    print("questions of analysts; best and CPU", flush=True)
    for place, question in enumerate(QUESTIONS, start=1):
        asked = functools.partial(clickhouse.query, statement(question))
        try:
            ms, cpu = await measured(asked, times)
        except ClickHouseTimedOut:
            print(f"{place:2}. {question.title:62}   not in time", flush=True)
        else:
            print(f"{place:2}. {question.title:62}{ms:8.1f} ms{cpu:8.1f} ms", flush=True)


async def _tab(log: DeliveryLog, webhook_id: str, until: datetime) -> None:
    await asyncio.gather(
        log.metrics_and_history(ORGANIZATION, webhook_id, "hour", until - timedelta(days=1), until),
        log.attempts(ORGANIZATION, webhook_id),
    )


async def sizes(clickhouse: ClickHouse, attempts: int) -> None:
    """Print the bytes on the disk by table, for each attempt."""
    rows = await clickhouse.query(
        "SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY bytes DESC"
    )
    for row in rows:
        print(
            f"{row['table']:24}{row['n']:>14,} rows{row['parts']:>6} parts{row['bytes'] / attempts:>8.1f} bytes/attempt"
        )
    print(f"{'all':24}{sum(row['bytes'] for row in rows) / attempts:>41.1f} bytes/attempt")


async def run(attempts: int, webhooks: int, times: int, directory: Path, *, at_rest: bool, questions: bool) -> None:
    small = f"wh-{webhooks // 2:05}"
    clickhouse = ClickHouse(f"chdb://{directory}")
    try:
        await migrate(clickhouse)
        if not await attempts_of(clickhouse, LARGE):
            start = time.perf_counter()
            await generate(clickhouse, attempts, webhooks)
            print(f"generated {attempts:,} attempts in {time.perf_counter() - start:.0f} s", flush=True)
        print(f"all hours open; {await attempts_of(clickhouse, LARGE):,} attempts of {LARGE}", flush=True)
        if not at_rest:
            await measure(clickhouse, min(times, _TIMES_WHEN_SLOW), small)
        start = time.perf_counter()
        closed = await close_all_hours(clickhouse)
        print(f"closed {closed:,} hours of webhooks in {time.perf_counter() - start:.0f} s", flush=True)
        await measure(clickhouse, times, small)
        await clickhouse.command("INSERT INTO looks (name, until) SELECT 'retold', now('UTC')")
        await generate_the_last_half_hour(clickhouse, attempts, webhooks)
        print("and the last half hour open", flush=True)
        start, used = time.perf_counter(), time.process_time()
        await find_retold(clickhouse, timedelta(0))
        took = f"{time.perf_counter() - start:.1f} s, {time.process_time() - used:.1f} of a processor"
        print(f"its messages looked up among all that are kept in {took}", flush=True)
        await measure(clickhouse, times, small)
        if questions:
            await measure_questions(clickhouse, times)
        await sizes(clickhouse, attempts)
    finally:
        await clickhouse.close()


def number(text: str) -> int:
    """1000, 10K, 100M."""
    return int(text[:-1]) * _SIZES[text[-1]] if text[-1:] in _SIZES else int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=number, default=1_000_000, help="such as 1M, 10M, 100M")
    parser.add_argument("--webhooks", type=number, default=10_000, help="of one organization")
    parser.add_argument("--times", type=int, default=10, help="how often each reading is measured")
    parser.add_argument("--directory", type=Path, help="keep what is generated there, instead of removing it")
    parser.add_argument("--at-rest", action="store_true", help="do not measure while all hours are open, which is slow")
    parser.add_argument("--questions", action="store_true", help="measure the statements of docs/querying.md too")
    given = parser.parse_args()
    directory = given.directory or Path(tempfile.mkdtemp(prefix="benchmark-clickhouse-"))
    try:
        measuring = run(
            given.attempts,
            given.webhooks,
            given.times,
            directory,
            at_rest=given.at_rest,
            questions=given.questions,
        )
        asyncio.run(measuring)
    finally:
        if given.directory is None:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
