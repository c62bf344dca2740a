"""The table of faults: a row for each, printed at the end of the tests and kept as JSON lines."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "faults.json"

_COLUMNS = ("fault", "messages", "lost", "twice", "in flight", "worst delay", "notes", "command")


@dataclass(frozen=True)
class Row:
    """What a fault cost. ``worst_delay`` is in seconds, from publishing to arrival unless ``notes`` says otherwise."""

    fault: str
    messages: int
    lost: int
    twice: int
    worst_delay: float
    in_flight: int | None = None
    notes: str = ""
    command: str = ""
    """What makes this row again; the table knows it."""

    def cells(self) -> tuple[str, ...]:
        in_flight = "" if self.in_flight is None else f"{self.in_flight}"
        return (
            *(self.fault, f"{self.messages:,}", str(self.lost), str(self.twice), in_flight),
            *(f"{self.worst_delay:.2f} s", self.notes, self.command and f"`{self.command}`"),
        )


class FaultTable:
    """The rows of this run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.command = ""
        """What runs the test that adds rows now."""

    def add(self, row: Row) -> None:
        """Show it at once, so that a run that is broken off has shown what it found."""
        row = replace(row, command=self.command)
        self.rows.append(row)
        sys.stdout.write(f"\n  {' | '.join(row.cells())}\n")

    def text(self) -> str:
        """All rows as a table in Markdown."""
        lines = [_COLUMNS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
        shown = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([shown[0], ruler, *shown[1:]])

    def write(self, path: Path) -> None:
        """Keep the rows as JSON; rows of the same faults that an earlier run left there are replaced."""
        kept = json.loads(path.read_text()) if path.exists() else []
        new = {row.fault for row in self.rows}
        rows = [row for row in kept if row["fault"] not in new] + [asdict(row) for row in self.rows]
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
