"""The chart as Helm renders it: by its program where there is one, else by the library of requirements-deploy.txt."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "portal-webhooks"
KUBERNETES = "1.33.0"
RELEASE = "webhooks"

Manifest = dict[str, Any]


class Refused(Exception):
    """Helm does not render the chart with these values."""


def rendered(values: Mapping[str, Any], directory: Path) -> list[Manifest]:
    """Every manifest of a release named ``webhooks``.

    Raises:
        Refused: the values' schema, or a template, does not take them.
    """
    if shutil.which("helm") is not None:
        return _by_program(values, directory)
    helm = pytest.importorskip(
        "helm_python", reason="Helm is not here: uv pip install --require-hashes -r requirements-deploy.txt"
    )
    try:
        with helm.Chart.load(str(CHART)) as chart:
            chart.validate_schema(dict(values))
            texts = chart.render(dict(values), name=RELEASE, namespace="default")
    except helm.HelmError as error:
        raise Refused(str(error)) from error
    return _manifests(text for name, text in texts.items() if name.endswith(".yaml"))


def _by_program(values: Mapping[str, Any], directory: Path) -> list[Manifest]:
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    done = subprocess.run(
        ["helm", "template", RELEASE, str(CHART), "--kube-version", KUBERNETES, "--values", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stderr)
    return _manifests([done.stdout])


def _manifests(texts: Any) -> list[Manifest]:
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest is not None]
