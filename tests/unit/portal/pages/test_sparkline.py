from dispatcher.portal.pages.sparkline import HEIGHT, sparkline
from dispatcher.recording.overview import DayOfMessages


def test_the_busiest_day_fills_the_height_and_each_day_has_its_place() -> None:
    drawn = sparkline([DayOfMessages(10), DayOfMessages(), DayOfMessages(5, 5), DayOfMessages(0, 20)])
    assert drawn.width == 16
    assert drawn.empty.startswith("M4 ")
    assert drawn.empty.count("z") == 1
    assert drawn.successful.count("z") == 2
    assert drawn.failed == f"M8 {HEIGHT / 2:.4g}h3v6h-3zM12 0h3v{HEIGHT}h-3z"


def test_a_failure_among_thousands_is_to_be_seen() -> None:
    assert sparkline([DayOfMessages(100_000, 1)]).failed == "M0 0h3v2h-3z"
    assert sparkline([DayOfMessages(100_000)]).failed == ""


def test_no_days_are_no_picture() -> None:
    assert sparkline([]) == sparkline(())
