"""How a target verifies that a message is from here: code to copy, written for these pages, one file a language."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """Code in a language; ``id`` is safe in an HTML id."""

    id: str
    language: str
    code: str


@cache
def samples() -> tuple[Sample, ...]:
    """All of them, as Standard Webhooks has it: HMAC-SHA256 over ``id.timestamp.body``, five minutes of tolerance."""
    languages = {"python": "Python", "node": "Node", "go": "Go", "csharp": "C#"}
    here = Path(__file__).parent
    return tuple(Sample(id, name, (here / f"{id}.txt").read_text(encoding="utf-8")) for id, name in languages.items())
