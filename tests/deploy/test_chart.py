"""The Helm chart: what it renders is Kubernetes', and its names are the program's."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatcher.assembly import NEED_CLICKHOUSE, NEED_CONFIGURATION, RoleName
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import PREFIX, Settings, default_topics_file
from dispatcher.supervision import STOP_SECONDS
from tests.support.helm import CHART, KUBERNETES, Manifest, Refused, rendered

ROOT = CHART.parents[2]
VALUES = Path(__file__).parent / "values"
OF_OPERATORS = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}


@pytest.fixture(params=["minimal", "everything"])
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((VALUES / f"{request.param}.yaml").read_text())
    return loaded


@pytest.fixture
def manifests(values: dict[str, Any], tmp_path: Path) -> list[Manifest]:
    return rendered(values, tmp_path)


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {
        manifest["spec"]["template"]["spec"]["containers"][0]["name"]: manifest
        for manifest in manifests
        if manifest["kind"] in {"Deployment", "StatefulSet"}
    }


def environment(workload: Manifest) -> dict[str, Any]:
    return {each["name"]: each for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_the_defaults_are_topics_yaml() -> None:
    ours = yaml.safe_load((CHART / "values.yaml").read_text())["topics"]
    assert ours == yaml.safe_load((ROOT / "topics.yaml").read_text())


def test_the_chart_installs_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version


def test_kubernetes_knows_every_field(manifests: list[Manifest]) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="no schemas: uv pip install --require-hashes -r requirements-deploy.txt"
    ).validate
    ours = [manifest for manifest in manifests if manifest["apiVersion"] not in OF_OPERATORS]
    assert ours
    for manifest in ours:
        validate(manifest, KUBERNETES, strict=True)


def test_every_role_is_run_with_settings_that_exist(manifests: list[Manifest]) -> None:
    found = workloads(manifests)
    assert set(found) == set(RoleName)
    jobs = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for workload in (*found.values(), *jobs):
        names = [each["name"] for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]]
        assert set(names) <= known
        assert len(names) == len(set(names))
    for role, workload in found.items():
        assert workload["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", role]


def test_a_role_has_the_secrets_that_it_needs_and_no_other(manifests: list[Manifest]) -> None:
    for role, workload in workloads(manifests).items():
        names = environment(workload)
        assert ("DISPATCHER_ENCRYPTION_KEY" in names) == (role in NEED_CONFIGURATION)
        assert ("DISPATCHER_CLICKHOUSE_URL" in names) == (role in NEED_CLICKHOUSE)
        assert (not {"DISPATCHER_AUTH_SECRET", "DISPATCHER_AUTH_JWKS_URL"}.isdisjoint(names)) == (role == "portal")
        for each in names.values():
            assert ("valueFrom" in each) == (
                each["name"].endswith(("_KEY", "_SECRET", "_PASSWORD", "_USERNAME", "CLICKHOUSE_URL", "INSTANCE_ID"))
            )


def test_pods_may_do_little_and_have_the_time_to_stop(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests).values():
        pod = workload["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        before = int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [0, 0])[1])
        assert pod["terminationGracePeriodSeconds"] >= STOP_SECONDS + before + 5
        ports = {port["name"] for port in container["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports


def test_static_members_are_named_after_their_pods(tmp_path: Path) -> None:
    found = workloads(rendered(yaml.safe_load((VALUES / "everything.yaml").read_text()), tmp_path))
    for role, workload in found.items():
        static = role in {"sender", "relay"}
        assert (workload["kind"] == "StatefulSet") == static
        assert ("DISPATCHER_KAFKA_GROUP_INSTANCE_ID" in environment(workload)) == static


def test_keda_looks_at_groups_and_topics_that_exist(tmp_path: Path) -> None:
    values = yaml.safe_load((VALUES / "everything.yaml").read_text())
    scaled = [manifest for manifest in rendered(values, tmp_path) if manifest["kind"] == "ScaledObject"]
    topics = load_topics(default_topics_file(), values["kafka"]["prefix"])
    partitions = {topic.name: topic.partitions for topic in topics.declared}
    assert {each["spec"]["triggers"][0]["metadata"]["consumerGroup"] for each in scaled} == {
        topics.group(Group.MATCHER),
        topics.group(Group.SENDER),
    }
    for each in scaled:
        metadata = each["spec"]["triggers"][0]["metadata"]
        topic = metadata.get("topic", next(iter(topics.events.values())))
        assert each["spec"]["maxReplicaCount"] <= partitions[topic]
        assert all(isinstance(value, str) for value in metadata.values())


def test_the_configmap_is_a_topics_file(manifests: list[Manifest], tmp_path: Path) -> None:
    files = [manifest["data"]["topics.yaml"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    assert len(files) == 2
    for number, text in enumerate(files):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        ours, declared = (
            {topic.name: topic for topic in load_topics(each).declared} for each in (file, default_topics_file())
        )
        assert ours == declared


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "bootstrapServers"),
        ({"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
        ({"sendr": {}}, "sendr"),
        ({"settings": {"DISPATCHER_LOG_LEVEL": "debug"}}, "DISPATCHER_LOG_LEVEL"),
        ({"roles": {"sender": {"autoscaling": {"enabled": True, "maxReplicas": 13}}}}, "maxReplicas"),
    ],
)
def test_helm_says_what_is_wrong(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    complete = values if not values or "kafka" in values else {"kafka": {"bootstrapServers": "kafka:9092"}, **values}
    with pytest.raises(Refused, match=said):
        rendered(complete, tmp_path)
