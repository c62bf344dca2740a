"""What the five roles have in common: they become ready, they run until something ends them, they stop cleanly."""

from typing import Protocol


class Role(Protocol):
    """One of matcher, sender, relay, recorder and portal."""

    name: str

    async def start(self) -> None:
        """Return when the role is ready to work; it goes on in the background of the running loop."""

    async def wait(self) -> None:
        """Run until the role ends; raise what ended it, unless that was ``stop``."""

    async def stop(self) -> None:
        """Finish what is in flight, within a few seconds, and let go of everything."""
