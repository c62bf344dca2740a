"""Plots of block characters. Pure: numbers in, lines of styled pieces out."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BAR_EIGHTHS = " ▏▎▍▌▋▊▉█"

SUCCESSFUL = "green"
FAILED = "red"


@dataclass(frozen=True, slots=True)
class Stack:
    """A column: failures stand on top of successes, and are never so few that they are not seen."""

    successful: int
    failed: int
    label: str = ""


def columns(stacks: Sequence[Stack], *, width: int, height: int) -> list[Text]:
    """A plot of this height, its axis and the labels that fit; ``width`` includes the numbers at the left."""
    most = max((stack.successful + stack.failed for stack in stacks), default=0)
    margin = max(len(f"{most:,}"), 1)
    each = max(min((width - margin - 2) // max(len(stacks), 1), 8), 1)
    lines = [Text() for _ in range(height)]
    for number, line in enumerate(lines):
        mark = f"{most:,}" if number == 0 else f"{most // 2:,}" if number == height // 2 and most > 1 else ""
        line.append(f"{mark:>{margin}} {'┤' if mark else '│'}", "dim")
    for stack in stacks:
        for level, (character, style) in enumerate(_cells(stack, most, height)):
            lines[height - 1 - level].append(character * max(each - 1, 1) + " " * (each > 1), style)
    axis = Text(f"{0:>{margin}} └{'─' * (each * len(stacks))}", "dim")
    return [*lines, axis, _labels([stack.label for stack in stacks], each, margin + 2)]


def bar(share: float, width: int) -> str:
    """A bar to the right: ``share`` of ``width``, to an eighth of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    if not full and not rest and share > 0:
        rest = 1
    return "█" * full + (_BAR_EIGHTHS[rest] if rest else "")


def _cells(stack: Stack, most: int, height: int) -> list[tuple[str, str]]:
    """The characters of a column from the bottom up; of a cell of both, the one at the top shows what failed."""
    total = stack.successful + stack.failed
    eighths = round(total / most * height * 8) if most else 0
    if total and not eighths:
        eighths = 1
    of_failed = max(round(stack.failed / total * eighths), 1) if stack.failed else 0
    cells = []
    for level in range(height):
        filled = min(max(eighths - level * 8, 0), 8)
        green = min(max(eighths - of_failed - level * 8, 0), filled)
        if filled == 8 and 0 < green < 8:
            cells.append((_EIGHTHS[green], f"{SUCCESSFUL} on {FAILED}"))
        else:
            cells.append((_EIGHTHS[filled], SUCCESSFUL if green == filled else FAILED))
    return cells


def _labels(labels: Sequence[str], each: int, margin: int) -> Text:
    line = " " * margin
    for number, label in enumerate(labels):
        at = margin + number * each
        if label and len(line) <= at:
            line = f"{line:<{at}}{label} "
    return Text(line.rstrip(), "dim")
