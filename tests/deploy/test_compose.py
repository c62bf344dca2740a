"""compose.yaml: its services are the roles, its settings the program's."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatcher.assembly import MAKE_SPANS, NEED_CLICKHOUSE, NEED_CONFIGURATION, RoleName
from dispatcher.observability.tracing_settings import exports_spans
from dispatcher.settings import PREFIX, Settings
from tests.support.deploy_tools import deploy_tool

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
TEXT = FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
OURS = {name: service for name, service in COMPOSE["services"].items() if name not in {"kafka", "clickhouse"}}


def test_the_compose_specification_knows_every_field() -> None:
    command = [deploy_tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_role_is_a_service_of_its_own() -> None:
    commands = {name: service["command"] for name, service in OURS.items()}
    assert commands == {"topics": ["topics", "apply"], **{role.value: ["run", role.value] for role in RoleName}}


def test_settings_exist_and_secrets_go_only_where_they_are_needed() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name, service in OURS.items():
        variables = set(service["environment"])
        assert {each for each in variables if not each.startswith("OTEL_")} <= known
        assert ("OTEL_EXPORTER_OTLP_ENDPOINT" in variables) == (name in MAKE_SPANS)
        assert ("DISPATCHER_ENCRYPTION_KEY" in variables) == (name in NEED_CONFIGURATION)
        assert ("DISPATCHER_CLICKHOUSE_URL" in variables) == (name in NEED_CLICKHOUSE)
        assert ("DISPATCHER_AUTH_SECRET" in variables) == (name == "portal")
        assert ("DISPATCHER_OIDC_CLIENT_SECRET" in variables) == (name == "portal")
        assert ("DISPATCHER_REQUEST_TIMEOUT" in variables) == (name in {"sender", "portal"})


# Set for all containers alike, or not for one machine with one broker and one ClickHouse.
ELSEWHERE = re.compile(
    "KAFKA_(PREFIX|SECURITY|SASL|SSL|GROUP)|CLICKHOUSE_(CLUSTER|HTTP_PORT)|DATA_DIR|TOPICS_FILE|HTTP_HOST|LOG_FORMAT"
)


def test_every_other_setting_can_be_chosen_and_is_not_set_where_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = {name: value for service in OURS.values() for name, value in service["environment"].items()}
    missing = {PREFIX + name.upper() for name in Settings.model_fields} - set(passed)
    assert not {name for name in missing if not ELSEWHERE.match(name.removeprefix(PREFIX))}
    for name, value in passed.items():
        if value.endswith(":-}"):
            monkeypatch.setenv(name, "")
    assert not Settings(_env_file=None).model_fields_set


def test_spans_are_made_only_where_somebody_said_where_they_go() -> None:
    for role in MAKE_SPANS:
        unset = {name: value.partition(":-")[2].rstrip("}") for name, value in OURS[role]["environment"].items()}
        assert not exports_spans(unset)
        assert exports_spans({**unset, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
        sampler = {name: value for name, value in unset.items() if "SAMPLER" in name}
        assert sampler == {"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_TRACES_SAMPLER_ARG": "1.0"}


def test_the_example_names_every_variable_that_has_to_be_chosen() -> None:
    example = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT))
    assert used - example == {"REVISION"}
    assert example <= used


def test_containers_may_do_little_and_listen_on_this_machine_only() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "internal" in str(COMPOSE["networks"]["servers"])
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["image"].count(":") >= 1


def test_whoever_waits_for_a_service_waits_for_one_that_there_is() -> None:
    for service in OURS.values():
        for other, how in service["depends_on"].items():
            assert how["condition"] in {"service_healthy", "service_completed_successfully"}
            assert how["condition"] != "service_healthy" or "test" in COMPOSE["services"][other]["healthcheck"]
