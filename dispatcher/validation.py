"""What pydantic says of a wrong value, as people who wrote the value should read it."""

from collections.abc import Sequence

from pydantic import ValidationError

_PREFIX = "Value error, "


class BadMembers(ValueError):
    """Several things that are wrong with one value: where in it, none for the value as a whole, and what."""

    def __init__(self, wrong: Sequence[tuple[tuple[str, ...], str]]) -> None:
        super().__init__("; ".join(detail for _, detail in wrong))
        self.wrong = wrong


def problems_of(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Where each problem is, and what is wrong there: messages of our own validators as these wrote them."""
    return [(problem["loc"], problem["msg"].removeprefix(_PREFIX)) for problem in error.errors()]


def members_of(error: ValidationError) -> str:
    """The names of the members that are not as they should be, for one line."""
    return ", ".join(".".join(str(part) for part in problem["loc"]) or "the record" for problem in error.errors())
