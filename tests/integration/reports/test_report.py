"""``dispatcher report`` about the sample."""

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dispatcher.delivery.outcome import Outcome
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.reports.report import Period, Report, Row, Subject, Totals, make_report
from tests.support import faulty_link
from tests.support.dispatcher import environment, run
from tests.support.faulty_link import a_faulty_link
from tools.sample_deliveries import last_midnight, sample_outcomes


def call(url: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(CLICKHOUSE_URL=url, CLICKHOUSE_HTTP_PORT=0), "COLUMNS": "80"}
    return run("report", *arguments, env=env, cwd=directory)


async def test_counts_what_happened(sample: ClickHouse) -> None:
    midnight = await last_midnight(sample)
    end = datetime.fromtimestamp(midnight / 1_000, UTC)
    period = Period(end - timedelta(days=7), end)
    report = await make_report(sample, Subject(), period, limit=100)
    assert report.unanswered == {}
    assert report.totals is not None
    assert report.over_time is not None
    assert report.by_hour_of_day is not None

    since = round(period.start.timestamp() * 1_000)
    last: dict[str, Outcome] = {}
    made = Counter[str]()
    failed_attempts = Counter[str]()
    for outcome in sample_outcomes(midnight):
        last[outcome["message_id"]] = outcome
        made[outcome["message_id"]] += 1
        if outcome["status"] == "failed" and since <= (outcome["executed_on"] or 0) < midnight:
            failed_attempts[outcome["error"]] += 1
    ended = Counter(
        outcome["status"]
        for outcome in last.values()
        if outcome["next_attempt_at"] is None and since <= finished(outcome) < midnight
    )
    assert (report.totals.successful, report.totals.failed) == (ended["successful"], ended["failed"])
    assert sum(each.successful for each in report.over_time) == ended["successful"]
    assert len(report.over_time) == 7
    assert sum(report.by_hour_of_day) == report.totals.messages
    assert {row["reason"]: row["attempts"] for row in answer(report, "failures_by_reason")} == failed_attempts
    created = [
        made[id]
        for id, outcome in last.items()
        if outcome["next_attempt_at"] is None and outcome["message_created_on"] >= since and outcome["run"] == 1
    ]
    assert report.tried_again == (sum(attempts > 1 for attempts in created), len(created))


def answer(report: Report, question: str) -> Sequence[Row]:
    rows = report.answers[question]
    assert rows is not None
    return rows


def finished(outcome: Outcome) -> int:
    return (outcome["executed_on"] or 0) + (outcome["duration_ms"] or 0)


async def test_is_about_one_webhook_alone_where_that_is_asked(sample: ClickHouse) -> None:
    end = datetime.fromtimestamp(await last_midnight(sample) / 1_000, UTC)
    period = Period(end - timedelta(days=1), end)
    report = await make_report(sample, Subject("org-contoso", "wh-crm"), period, limit=100)
    assert [row["organization_id"] for row in answer(report, "success_by_organization")] == ["org-contoso"]
    assert [row["target_host"] for row in answer(report, "slowest_targets")] == ["crm.example"]
    [worse] = answer(report, "worse_webhooks")
    assert worse["rate_now"] < worse["rate_before"]
    assert report.over_time is not None
    assert len(report.over_time) == 24
    nobody = await make_report(sample, Subject("org-nobody"), period, limit=100)
    assert nobody.totals == Totals(0, 0)
    assert nobody.totals.rate is None


def test_in_a_terminal_as_json_and_as_a_page(sample_url: str, tmp_path: Path) -> None:
    shown = call(sample_url, tmp_path, "--limit", "3")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == "Deliveries of all organizations"
    assert max(map(len, lines)) <= 80
    for part in ("Messages a day", "Why attempts failed", "wh-crm", "certificate expired", "reports.example"):
        assert part in shown.stdout

    written = call(
        sample_url, tmp_path, "--json", "--html", "page.html", "--since", "24h", "--organization", "org-nobody"
    )
    told = json.loads(written.stdout)
    assert told["totals"] == {"messages": 0, "successful": 0, "failed": 0, "rate": None}
    assert len(told["over_time"]) in {24, 25}
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


async def test_what_clickhouse_does_not_answer_is_named_and_the_rest_is_shown(sample_url: str, tmp_path: Path) -> None:
    async with a_faulty_link(sample_url) as link:
        link.spoil(faulty_link.out_of_memory, "FROM attempts")

        async def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(call, link.url, tmp_path, *arguments)

        done = await asked("--json", "--html", "page.html")
        shown = await asked()
        link.spoil(faulty_link.out_of_memory, "SELECT")
        nothing = await asked("--json")
    told = json.loads(done.stdout)
    assert set(told["unanswered"]) == {"durations", "slowest_targets", "failures_by_reason"}
    assert all("memory limit exceeded" in why for why in told["unanswered"].values())
    assert [name for name, part in told.items() if part is None] == [
        *("organization_id", "webhook_id", "durations", "slowest_targets", "failures_by_reason")
    ]
    assert told["totals"]["messages"] > 0
    lacking = "durations, slowest targets, why attempts failed"
    assert f"ClickHouse did not answer: {lacking}" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"ClickHouse did not answer: {lacking}" in shown.stdout
    assert "wh-crm" in shown.stdout
    for one in (done, shown):
        assert one.returncode == 1
        assert one.stderr.startswith(f"error: ClickHouse did not answer 3 of 10 questions ({lacking}): ")
        assert one.stderr.count("\n") == 1
    assert nothing.returncode == 1
    assert nothing.stdout == ""
    assert "memory limit exceeded" in nothing.stderr


def test_what_cannot_be_done_is_one_clear_line(sample_url: str, tmp_path: Path) -> None:
    too_long = call(sample_url, tmp_path, "--since", "20000d")
    assert too_long.returncode == 2
    assert "--since" in too_long.stderr
    nowhere = call(sample_url, tmp_path, "--html", "no/such/page.html")
    assert nowhere.returncode == 1
    assert nowhere.stderr == "error: no/such/page.html cannot be written: No such file or directory\n"
    away = run("report", env=environment(CLICKHOUSE_URL="http://127.0.0.1:1"), cwd=tmp_path)
    assert away.returncode == 1
    assert away.stderr.count("\n") == 1
    assert "DISPATCHER_CLICKHOUSE_URL" in away.stderr
    nothing = run("report", env=environment(DATA_DIR=tmp_path / "none", CLICKHOUSE_HTTP_PORT=0), cwd=tmp_path)
    assert nothing.returncode == 1
    assert "dispatcher up" in nothing.stderr
    assert not (tmp_path / "none").exists()
