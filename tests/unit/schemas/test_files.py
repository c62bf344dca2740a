import re
from pathlib import Path

import pytest
import yaml

from dispatcher.cli import schemas as command
from dispatcher.errors import DispatcherError
from dispatcher.kafka.topics import load_topics
from dispatcher.schemas.files import drifted, generated_files, write
from dispatcher.settings import default_topics_file

FILES = generated_files(load_topics(default_topics_file()))


def test_the_committed_files_are_what_the_code_says() -> None:
    command.check_schemas()


def test_generating_twice_gives_the_same() -> None:
    assert generated_files(load_topics(default_topics_file())) == FILES


def test_the_document_is_yaml() -> None:
    assert yaml.safe_load(FILES["asyncapi.yaml"])["asyncapi"] == "3.0.0"


def test_drift_is_named_and_written_away(tmp_path: Path) -> None:
    directory = tmp_path / "schemas"
    assert drifted(directory, FILES) == sorted(FILES)
    assert write(directory, FILES) == sorted(FILES)
    assert write(directory, FILES) == []
    (directory / "active_alert.json").write_text("{}")
    (directory / "object_created.json").unlink()
    (directory / "old.json").write_text("{}")
    wrong = ["active_alert.json", "object_created.json", "old.json"]
    with pytest.raises(DispatcherError, match=re.escape(", ".join(wrong))):
        command.check_schemas(directory)
    assert write(directory, FILES) == wrong
    assert not drifted(directory, FILES)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DispatcherError, match="cannot be written"):
        command.write_schemas(tmp_path / "file" / "schemas")
