"""Spans are exported only if the standard variables say where to, and nobody imports OpenTelemetry for nothing."""

import subprocess
import sys

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.observability.tracing import otlp_tracing
from dispatcher.observability.tracing_settings import exports_spans

WHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "exported"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (WHERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({**WHERE, "OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**WHERE, "OTEL_TRACES_EXPORTER": ""}, True),
        ({**WHERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**WHERE, "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], exported: bool) -> None:
    assert exports_spans(environment) is exported


def test_a_protocol_that_there_is_not_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"):
        otlp_tracing({**WHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_the_roles_do_not_import_opentelemetry_unless_asked_to() -> None:
    program = (
        "import sys; import dispatcher.assembly, dispatcher.delivery.sender, dispatcher.matching.matcher; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
