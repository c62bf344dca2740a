"""How long, how many and how fast, in few characters, for people who read tables at night."""

_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s"))


def span(seconds: float) -> str:
    """``0s``, ``42s``, ``2m 3s``, ``4h 12m``, ``3d 4h``: the two largest units. Under 10 s with a decimal."""
    if seconds < 9.95:
        return f"{seconds:.1f}s" if seconds >= 0.05 else "0s"
    whole = round(seconds)
    for size, unit, lesser, lesser_unit in _UNITS:
        if whole >= size:
            rest = whole % size // lesser
            return f"{whole // size}{unit} {rest}{lesser_unit}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def count(number: int) -> str:
    """``0``, ``1,204``, ``12.3M``."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:,}"


def per_second(rate: float) -> str:
    """``0``, ``0.4``, ``12``, ``1,204``: as precise as a short measurement is."""
    if rate == 0:
        return "0"
    return f"{rate:.1f}" if rate < 9.95 else f"{rate:,.0f}"


def counted(number: int, noun: str) -> str:
    """``1 record``, ``1,204 records``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
