"""What KEDA and the Prometheus operator read, held against models that are made from their schemas."""

import pytest

from tests.support.helm import Manifest

_MODELS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
OF_OPERATORS = frozenset(_MODELS)


def validate(manifest: Manifest) -> None:
    """Hold a manifest against its kind's schema, where a field that it does not have is refused as well.

    Skips the test where the models are not installed.

    Raises:
        pydantic.ValidationError: the operator would not take it, or would ignore some of it.
    """
    models = pytest.importorskip(
        _MODELS[manifest["apiVersion"]],
        reason="no schemas: uv pip install --require-hashes -r requirements-deploy.txt",
    )
    kind = getattr(models, manifest["kind"])
    kind.model_validate(manifest, strict=True, extra="forbid", by_alias=True, by_name=False)
