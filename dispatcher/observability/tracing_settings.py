"""Whether spans are exported: decided here, so that nobody imports OpenTelemetry for nothing."""

from collections.abc import Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def exports_spans(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables of OpenTelemetry say where spans go, and do not turn them off."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return not disabled and exporter == "otlp" and any(environment.get(name) for name in ENDPOINTS)
