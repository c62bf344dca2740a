"""What was found by one check, and how to put it right."""

from dataclasses import dataclass
from typing import Any

from dispatcher.operations.lag import Level


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``remedy`` is a command or a setting, where there is something to do."""

    subject: str
    level: Level
    found: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "subject": self.subject,
            "level": self.level.name.lower(),
            "found": self.found,
            "remedy": self.remedy,
        }


def fine(subject: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, Level.FINE, found)


def notice(subject: str, found: str, remedy: str | None = None) -> Finding:
    """Works, and is worth a look."""
    return Finding(subject, Level.NOTICE, found, remedy)


def problem(subject: str, found: str, remedy: str) -> Finding:
    """Does not work, or soon will not."""
    return Finding(subject, Level.PROBLEM, found, remedy)


def split_advice(message: str) -> tuple[str, str]:
    """One of our errors as what is wrong and what to do: they are written ``what: advice``."""
    wrong, _, advice = message.rpartition(": ")
    return (wrong, advice) if wrong else (message, message)
