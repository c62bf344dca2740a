"""A record's headers by their names."""

from collections.abc import Iterable


def by_name(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Of several with one name, the last. One without a value, which other producers write, is as good as none."""
    return {name: value for name, value in headers if value is not None}
