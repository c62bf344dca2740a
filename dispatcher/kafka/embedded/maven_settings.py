"""What a machine's Maven settings say about downloads: a mirror to use, and where jars are kept."""

import os
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from dispatcher.errors import EmbeddedKafkaError

_FILE = Path(".m2") / "settings.xml"


@dataclass(frozen=True, slots=True)
class MavenSettings:
    """``mirror`` is the URL to use instead of Maven Central's; None: Maven Central itself."""

    mirror: str | None
    repository: Path


def read_maven_settings(home: Path) -> MavenSettings:
    """The settings of the user with this home directory; without a settings file, Maven's defaults.

    Raises:
        EmbeddedKafkaError: the file cannot be read.
    """
    mirror, repository = None, None
    file = home / _FILE
    if file.exists():
        try:
            root = ET.fromstring(file.read_bytes())  # noqa: S314  # the user's own file
        except (OSError, ET.ParseError) as error:
            raise EmbeddedKafkaError(f"{file} cannot be read ({error}); correct it or move it away") from error
        mirror = next(
            (
                text
                for entry in root.iterfind("{*}mirrors/{*}mirror")
                if _mirrors_central(entry.findtext("{*}mirrorOf", ""))
                and (text := entry.findtext("{*}url", "").strip().rstrip("/"))
            ),
            None,
        )
        repository = root.findtext("{*}localRepository", "").strip() or None
    kept_at = os.environ.get("M2_REPO") or repository
    return MavenSettings(mirror, Path(kept_at).expanduser() if kept_at else home / ".m2" / "repository")


def _mirrors_central(mirror_of: str) -> bool:
    patterns = {pattern.strip() for pattern in mirror_of.split(",")}
    return "!central" not in patterns and not patterns.isdisjoint({"central", "*", "external:*"})
