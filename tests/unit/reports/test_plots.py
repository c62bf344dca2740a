"""Columns and bars of block characters."""

import pytest

from dispatcher.reports.plots import FAILED, SUCCESSFUL, Stack, bar, columns


def plain(stacks: list[Stack], **size: int) -> list[str]:
    return [line.plain for line in columns(stacks, **{"width": 20, "height": 2, **size})]


def test_columns_are_as_high_as_their_numbers() -> None:
    assert plain([Stack(16, 0, "a"), Stack(8, 0), Stack(1, 0, "b"), Stack(0, 0)], width=16) == [
        "16 ┤██          ",
        " 8 ┤██ ██ ▁▁    ",
        " 0 └────────────",
        "    a     b",
    ]


def test_columns_get_narrow_and_labels_are_left_out_where_there_is_no_room() -> None:
    lines = plain([Stack(1, 0, f"{number:02}") for number in range(30)], width=33)
    assert max(map(len, lines)) <= 33
    assert lines[-1].split() == [f"{number:02}" for number in range(0, 30, 3)]


def test_what_failed_stands_on_top_however_little_it_is() -> None:
    line, *_ = columns([Stack(1_000, 1), Stack(0, 500), Stack(600, 400)], width=60, height=1)
    styles = [str(span.style) for span in line.spans[1:]]
    assert styles[:2] == [f"{SUCCESSFUL} on {FAILED}", FAILED]
    assert styles[2] == f"{SUCCESSFUL} on {FAILED}"


def test_a_plot_of_nothing_is_an_axis() -> None:
    assert plain([Stack(0, 0, "a")])[-2].startswith("0 └")


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, ""), (0.001, "▏"), (0.5, "█████"), (0.55, "█████▌"), (1.0, "█" * 10), (3.0, "█" * 10)]
)
def test_bars(share: float, expected: str) -> None:
    assert bar(share, 10) == expected
