"""docs/querying.md tells the truth."""

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.read_only import check_read_only
from dispatcher.reports.questions import QUESTIONS
from tools.querying import PAGE, answered, introduction, statement


async def test_every_answer_is_the_one_that_clickhouse_gives(sample: ClickHouse) -> None:
    says = PAGE.read_text(encoding="utf-8")
    assert says == introduction() + await answered(sample), "run python -m tools.querying"


def test_a_dozen_questions_or_more_and_each_passes_the_read_only_port() -> None:
    assert len(QUESTIONS) >= 12
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        check_read_only(statement(question), frozenset())
