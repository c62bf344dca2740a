"""A report as one HTML page: it loads nothing, runs no script, and follows the reader's light or dark."""

from collections.abc import Sequence
from datetime import timedelta
from html import escape

from dispatcher.reports import questions
from dispatcher.reports.plots import Stack
from dispatcher.reports.report import Report
from dispatcher.reports.tables import NOT_ANSWERED, Listing, listings, milliseconds, percent, unanswered

_WIDTH, _HEIGHT = 960, 220
_LEFT, _BOTTOM, _TOP = 56, 24, 10
_LABELS = 16


def page(report: Report) -> str:
    """The whole document."""
    title = f"Deliveries of {report.subject}"
    by_hour = report.period.step < timedelta(days=1)
    shape = "%d %b %H:00" if by_hour else "%d %b"
    over_time = of_day = None
    if report.over_time is not None:
        over_time = [Stack(each.successful, each.failed, f"{each.start:{shape}}") for each in report.over_time]
    if report.by_hour_of_day is not None:
        of_day = [Stack(number, 0, f"{hour:02}:00") for hour, number in enumerate(report.by_hour_of_day)]
    lacking = unanswered(report)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=when>{report.period.start:%Y-%m-%d %H:%M} to {report.period.end:%Y-%m-%d %H:%M} UTC</p>",
        *([f"<p class=lacking>ClickHouse did not answer: {escape(lacking)}</p>"] if lacking else ()),
        _cards(report),
        _figure(f"Messages {'an hour' if by_hour else 'a day'}", over_time, legend=True),
        _figure("Messages by hour of the day (UTC)", of_day),
        *(_section(listing) for listing in listings(report)),
    ]
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _cards(report: Report) -> str:
    totals, before = report.totals, report.before
    cards = []
    if totals is not None:
        earlier = [""] * 3
        if before is not None:
            earlier = [f"{percent(before.rate)} in as long a time before"]
            earlier += [f"{number:,} before" for number in (before.messages, before.failed)]
        figures = (
            ("arrived", percent(totals.rate)),
            ("messages", f"{totals.messages:,}"),
            ("failed", f"{totals.failed:,}"),
        )
        cards += [(*figure, more) for figure, more in zip(figures, earlier, strict=True)]
    if report.tried_again is not None:
        again, ended = report.tried_again
        share = percent(again / ended if ended else None)
        cards.append(("needed more than one attempt", share, f"{again:,} of {ended:,}"))
    for row in report.answers[questions.DURATIONS.name] or ():
        beyond = f"p95 {milliseconds(row['p95_ms'])}, p99 {milliseconds(row['p99_ms'])}"
        cards.append(("an attempt, at the median", milliseconds(row["p50_ms"]), beyond))
    shown = "".join(
        f"<li><b>{escape(value)}</b> {escape(name)}<small>{escape(more)}</small></li>" for name, value, more in cards
    )
    return f"<ul class=cards>{shown}</ul>"


def _figure(title: str, stacks: Sequence[Stack] | None, *, legend: bool = False) -> str:
    if stacks is None:
        return f"<section><h2>{escape(title)}</h2><p>{escape(NOT_ANSWERED)}</p></section>"
    keys = "<span class=ok>arrived</span> <span class=no>failed</span>" if legend else ""
    return f"<section><h2>{escape(title)} {keys}</h2>{plot(title, stacks)}</section>"


def plot(title: str, stacks: Sequence[Stack]) -> str:
    """Columns as SVG; each tells its figures when pointed at."""
    most = max((stack.successful + stack.failed for stack in stacks), default=0) or 1
    across = (_WIDTH - _LEFT) / max(len(stacks), 1)
    high = _HEIGHT - _TOP - _BOTTOM
    drawn = []
    for share in (0, 0.5, 1):
        y = _TOP + high * (1 - share)
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if share * most == int(share * most):
            drawn.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{int(share * most):,}</text>')
    every = max(len(stacks) // _LABELS, 1)
    for number, stack in enumerate(stacks):
        x, total = _LEFT + number * across, stack.successful + stack.failed
        told = f"{stack.label}: {stack.successful:,} arrived" + (f", {stack.failed:,} failed" if stack.failed else "")
        base = float(_TOP + high)
        bars = []
        for kind, count in (("ok", stack.successful), ("no", stack.failed)):
            if count:
                tall = max(high * count / most, 1.0)
                base -= tall
                bars.append(
                    f'<rect class={kind} x="{x + across * 0.1:.1f}" y="{base:.1f}" '
                    f'width="{across * 0.8:.1f}" height="{tall:.1f}"/>'
                )
        if total:
            drawn.append(f"<g><title>{escape(told)}</title>{''.join(bars)}</g>")
        if number % every == 0:
            middle = x + across / 2
            drawn.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(stack.label)}</text>')
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{escape(title, quote=True)}">'
    return f"{head}{''.join(drawn)}</svg>"


def _section(listing: Listing) -> str:
    if not listing.rows:
        return f"<section><h2>{escape(listing.title)}</h2><p>{escape(listing.nothing)}</p></section>"
    kinds = [" class=n" if listing.is_number(number) else "" for number in range(len(listing.headings))]
    head = "".join(f"<th{kind}>{escape(heading)}" for kind, heading in zip(kinds, listing.headings, strict=True))
    lines = []
    for number, row in enumerate(listing.rows):
        cells = "".join(f"<td{kind}>{escape(cell)}" for kind, cell in zip(kinds, row, strict=True))
        if listing.shares:
            width = 100 * min(max(listing.shares[number], 0.0), 1.0)
            cells += (
                f'<td class=bar><svg viewBox="0 0 100 8" preserveAspectRatio=none aria-hidden=true>{_rect(width)}</svg>'
            )
        lines.append(f"<tr>{cells}")
    bars = "<th>" if listing.shares else ""
    return (
        f"<section><h2>{escape(listing.title)}</h2><div class=wide><table><thead><tr>{head}{bars}<tbody>"
        f"{''.join(lines)}</table></div></section>"
    )


def _rect(width: float) -> str:
    return f'<rect width="{width:.1f}" height="8"/>'


_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2230; --dim: #5b6475; --line: #d9dde5;
  --ok: #1f8a5b; --no: #c8372d; --bar: #3b6fd1; }
@media (prefers-color-scheme: dark) { :root { --back: #12151b; --card: #1b2029; --text: #e6e9ef; --dim: #9aa4b5;
  --line: #333b49; --ok: #3dbb84; --no: #f0665c; --bar: #7aa2f0; } }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 20px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 16px; margin: 0 0 12px; }
.when { color: var(--dim); margin: 4px 0 20px; } .lacking { color: var(--no); }
section, .cards li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
section { padding: 16px 20px; margin: 0 0 16px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; list-style: none;
  padding: 0; margin: 0 0 16px; }
.cards li { padding: 12px 16px; } .cards b { display: block; font-size: 24px; line-height: 1.2; }
small { display: block; color: var(--dim); }
svg { display: block; width: 100%; height: auto; } svg line { stroke: var(--line); }
svg text { fill: var(--dim); font-size: 11px; } rect { fill: var(--bar); } rect.ok { fill: var(--ok); }
rect.no { fill: var(--no); } h2 span { font-weight: 400; font-size: 13px; color: var(--dim); margin-left: 8px; }
h2 span::before { content: "■ "; } span.ok::before { color: var(--ok); } span.no::before { color: var(--no); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 5px 16px 5px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 500; } .n { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; } .bar { width: 22%; } .bar svg { height: 8px; }
@media print { body { background: none; } section { break-inside: avoid; } }
"""
