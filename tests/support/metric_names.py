"""Names of metrics: those that there are, and those that an expression uses."""

import re
from pathlib import Path

from prometheus_client import REGISTRY, Metric

import dispatcher.observability.metrics  # noqa: F401 - defines them

ROOT = Path(__file__).resolve().parents[2]

_IN_BRACES = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\([^()]*\)")
_NAME = re.compile(r"(?<![\w:$.])[a-z][a-z_:0-9]*_[a-z_:0-9]*|[a-z]+:[a-z0-9_:]+")
_FUNCTIONS = {"histogram_quantile", "predict_linear", "avg_over_time", "max_over_time", "label_values"}


def metrics_in(expression: str) -> set[str]:
    """The metrics that a query in PromQL names."""
    return set(_NAME.findall(_GROUPING.sub("", _IN_BRACES.sub("", expression)))) - _FUNCTIONS


def known() -> set[str]:
    """Every name under which Prometheus finds one of ours."""
    return {name for family in REGISTRY.collect() for name in _names(family) if name.startswith("dispatcher_")}


def foreign() -> set[str]:
    """Names of others: of node_exporter, of kubelets, and of prometheus_client about its process (on Linux)."""
    return {
        *("node_filesystem_avail_bytes", "node_filesystem_size_bytes", "node_filesystem_readonly"),
        *("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"),
        *("process_cpu_seconds_total", "process_resident_memory_bytes"),
    }


def _names(family: Metric) -> list[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    return [f"{family.name}{suffix}" for suffix in suffixes]
