"""What a period is cut into."""

from datetime import UTC, datetime, timedelta

from dispatcher.reports.report import Period, Subject, Totals

NOW = datetime(2026, 11, 24, 3, 20, 30, tzinfo=UTC)


def test_begins_with_an_hour_and_the_time_before_does_too() -> None:
    period = Period.since(NOW, timedelta(hours=24))
    assert period.start == datetime(2026, 11, 23, 3, tzinfo=UTC)
    assert period.end == NOW
    assert period.before == Period(datetime(2026, 11, 22, 2, tzinfo=UTC), period.start)


def test_is_cut_into_hours_while_it_is_short() -> None:
    steps = Period.since(NOW, timedelta(hours=24)).steps()
    assert (steps[0], steps[-1]) == (datetime(2026, 11, 23, 3, tzinfo=UTC), datetime(2026, 11, 24, 3, tzinfo=UTC))
    assert len(steps) == 25


def test_is_cut_into_days_when_it_is_longer_the_first_and_the_last_not_whole() -> None:
    steps = Period.since(NOW, timedelta(days=7)).steps()
    assert steps == [datetime(2026, 11, day, tzinfo=UTC) for day in range(17, 25)]


def test_what_a_report_is_about_in_words_and_in_sql() -> None:
    assert (str(Subject()), Subject().condition) == ("all organizations", "")
    one = Subject("org-1", "wh-1")
    assert str(one) == "organization org-1, webhook wh-1"
    assert one.condition == " AND organization_id = {organization_id:String} AND webhook_id = {webhook_id:String}"


def test_there_is_no_rate_of_nothing() -> None:
    assert Totals(0, 0).rate is None
    assert Totals(3, 1).rate == 0.75
