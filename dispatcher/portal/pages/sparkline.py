"""A webhook's last days as a small picture: a bar for each day, its failed part on top."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.recording.overview import DayOfMessages

HEIGHT = 24
_BAR = 3
_STEP = 4


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Paths of an SVG of this width and ``HEIGHT``; days without messages have a line at the bottom."""

    width: int
    successful: str
    failed: str
    empty: str


def sparkline(days: Sequence[DayOfMessages]) -> Sparkline:
    """The picture of some days, the earliest first; the busiest fills the height."""
    most = max((successful + failed for successful, failed in days), default=0)
    good, bad, empty = [], [], []
    for number, (successful, failed) in enumerate(days):
        x, total = number * _STEP, successful + failed
        if total == 0:
            empty.append(_bar(x, HEIGHT - 1.5, 1.5))
            continue
        height = max(3.0, HEIGHT * total / most)
        # A failure among thousands is still to be seen.
        of_failed = 0.0 if not failed else max(2.0, height * failed / total) if successful else height
        if successful:
            good.append(_bar(x, HEIGHT - (height - of_failed), height - of_failed))
        if failed:
            bad.append(_bar(x, HEIGHT - height, of_failed))
    return Sparkline(len(days) * _STEP, "".join(good), "".join(bad), "".join(empty))


def _bar(x: float, y: float, height: float) -> str:
    return f"M{x} {y:.4g}h{_BAR}v{height:.4g}h-{_BAR}z"
