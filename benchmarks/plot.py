"""Plots as SVG, without a library: numbers in, text out. Their colours can be read on white and on black."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_INK, _GRID = "#737d88", "#737d8855"
_COLOURS = ("#2f81f7", "#d4762c", "#2da160", "#b35fd6", "#c9a227", "#d6506b")
_WIDTH = 760
_ROW = 30
_LEFT, _RIGHT, _TOP, _BOTTOM = 250, 120, 44, 12


@dataclass(frozen=True)
class Spread:
    """Several runs of one thing."""

    minimum: float
    median: float
    maximum: float


def bars(title: str, rows: Mapping[str, Spread], unit: str) -> str:
    """A bar to each median, with a line from the minimum to the maximum."""
    most = max((each.maximum for each in rows.values()), default=1) or 1
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    drawn = []
    for number, (name, each) in enumerate(rows.items()):
        y = _TOP + number * _ROW
        end, middle = _LEFT + each.median * scale, y + _ROW / 2 - 4
        drawn += [
            _text(_LEFT - 10, middle + 4, name, "end"),
            _rect(_LEFT, y, max(each.median * scale, 1), _ROW - 8, _COLOURS[0]),
            _line(_LEFT + each.minimum * scale, middle, _LEFT + each.maximum * scale, middle),
            _text(max(end, _LEFT + each.maximum * scale) + 8, middle + 4, f"{_number(each.median)} {unit}"),
        ]
    return _svg(title, _TOP + len(rows) * _ROW + _BOTTOM, drawn)


def stacks(title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """A bar of pieces for each row, with a legend of the pieces."""
    names = list(dict.fromkeys(name for pieces in rows.values() for name in pieces))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    most = max((sum(pieces.values()) for pieces in rows.values()), default=1) or 1
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    drawn = _legend(colours, _LEFT, _TOP + 4)
    for number, (row, pieces) in enumerate(rows.items()):
        y, x = _TOP + 22 + number * _ROW, float(_LEFT)
        drawn.append(_text(_LEFT - 10, y + _ROW / 2, row, "end"))
        for name, value in pieces.items():
            width = value * scale
            drawn.append(_rect(x, y, width, _ROW - 8, colours[name], f"{name}: {_number(value)} {unit}"))
            x += width
        drawn.append(_text(x + 8, y + _ROW / 2, f"{_number(sum(pieces.values()))} {unit}"))
    return _svg(title, _TOP + 22 + len(rows) * _ROW + _BOTTOM, drawn)


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str, height: int = 360
) -> str:
    """Lines between points, both axes logarithmic."""
    left, top, right, bottom = 70, _TOP + 30, _WIDTH - 30, height - 50
    points = [point for each in series.values() for point in each if min(point) > 0]
    if not points:
        return _svg(title, height, [])
    (x_from, x_to), (y_from, y_to) = (_decades([point[axis] for point in points]) for axis in (0, 1))

    def place(x: float, y: float) -> tuple[float, float]:
        along, up = _share(x, x_from, x_to), _share(y, y_from, y_to)
        return left + along * (right - left), bottom - up * (bottom - top)

    drawn = []
    for tick in _ticks(x_from, x_to):
        x, _ = place(tick, y_from)
        drawn += [_line(x, top, x, bottom, _GRID), _text(x, bottom + 18, _number(tick), "middle")]
    for tick in _ticks(y_from, y_to):
        _, y = place(x_from, tick)
        drawn += [_line(left, y, right, y, _GRID), _text(left - 8, y + 4, _number(tick), "end")]
    drawn += [_text((left + right) / 2, height - 12, x_label, "middle"), _text(left, top - 10, y_label)]
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(series)}
    drawn += _legend(colours, right - 90 * len(series), top - 14)
    for name, each in series.items():
        placed = [place(x, y) for x, y in sorted(each) if min(x, y) > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colours[name]}"/>' for x, y in placed]
    return _svg(title, height, drawn)


def _share(value: float, start: float, end: float) -> float:
    return (math.log10(value) - math.log10(start)) / (math.log10(end) - math.log10(start))


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """The ticks around what there is."""
    ticks = _ticks(10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values))))
    start = max((tick for tick in ticks if tick <= min(values)), default=ticks[0])
    end = min((tick for tick in ticks if tick >= max(values)), default=ticks[-1])
    return (start, end) if start < end else (start, start * 10)


def _ticks(start: float, end: float) -> list[float]:
    first, last = math.floor(math.log10(start)), math.ceil(math.log10(end))
    every = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return [tick for tick in every if start * 0.999 <= tick <= end * 1.001]


def _legend(colours: Mapping[str, str], x: float, y: float) -> list[str]:
    return [
        piece
        for number, (name, colour) in enumerate(colours.items())
        for piece in (
            _rect(x + 90 * number, y - 9, 10, 10, colour),
            _text(x + 90 * number + 15, y, name),
        )
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rect(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}">{inside}</rect>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _INK) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.5"/>'


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    heading = f'<text x="12" y="24" font-size="15" font-weight="600">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">\n'
        + "\n".join([heading, *drawn])
        + "\n</svg>\n"
    )
