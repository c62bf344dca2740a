"""The Helm chart: what it renders is Kubernetes', and its names are the program's."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatcher.assembly import MAKE_SPANS, NEED_CLICKHOUSE, NEED_CONFIGURATION, RoleName
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import load_topics
from dispatcher.observability.tracing_settings import exports_spans
from dispatcher.portal.pages.session import MOST_PIECES, PIECE
from dispatcher.settings import PREFIX, Settings, default_topics_file
from dispatcher.supervision import STOP_SECONDS
from tests.support.custom_resources import OF_OPERATORS, validate
from tests.support.helm import CHART, KUBERNETES, Manifest, Refused, rendered

ROOT = CHART.parents[2]
VALUES = Path(__file__).parent / "values"
PREFIX_OF_EVERYTHING = "blue."
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}
OF_ONE_MACHINE = {"DISPATCHER_DATA_DIR", "DISPATCHER_CLICKHOUSE_HTTP_PORT"}


@pytest.fixture(params=["minimal", "everything"])
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((VALUES / f"{request.param}.yaml").read_text())
    return loaded


@pytest.fixture
def manifests(values: dict[str, Any], tmp_path: Path) -> list[Manifest]:
    return rendered(values, tmp_path)


@pytest.fixture
def everything(tmp_path: Path) -> list[Manifest]:
    return rendered(yaml.safe_load((VALUES / "everything.yaml").read_text()), tmp_path)


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {
        manifest["spec"]["template"]["spec"]["containers"][0]["name"]: manifest
        for manifest in manifests
        if manifest["kind"] in {"Deployment", "StatefulSet"}
    }


def component(manifest: Manifest) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def secrets_of(workload: Manifest) -> set[tuple[str, str]]:
    """The secrets that a workload reads, each with the key: as variables, and the files of Kafka's certificates."""
    references = (each.get("valueFrom", {}).get("secretKeyRef") for each in environment(workload).values())
    files = {Path(each["value"]) for each in environment(workload).values() if "kafka-tls" in each.get("value", "")}
    volumes = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in workload["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    return {(each["name"], each["key"]) for each in references if each} | {
        (volumes[file.parent.name], file.name) for file in files
    }


def environment(workload: Manifest) -> dict[str, Any]:
    return {each["name"]: each for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_an_ingress_lets_the_cookies_of_many_organizations_through() -> None:
    # Each has a name and attributes; and there are other headers.
    most = MOST_PIECES * (PIECE + 100) + 8 * 1024
    annotations = yaml.safe_load((CHART / "values.yaml").read_text())["ingress"]["annotations"]
    size = annotations["nginx.ingress.kubernetes.io/proxy-buffer-size"]
    assert int(size.removesuffix("k")) * 1024 > most


def test_the_defaults_are_topics_yaml() -> None:
    ours = yaml.safe_load((CHART / "values.yaml").read_text())["topics"]
    assert ours == yaml.safe_load((ROOT / "topics.yaml").read_text())


def test_the_chart_installs_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version


def test_kubernetes_knows_every_field(manifests: list[Manifest]) -> None:
    schemas = pytest.importorskip(
        "kubernetes_validate", reason="no schemas: uv pip install --require-hashes -r requirements-deploy.txt"
    )
    ours = [manifest for manifest in manifests if manifest["apiVersion"] not in OF_OPERATORS]
    assert ours
    for manifest in ours:
        schemas.validate(manifest, KUBERNETES, strict=True)


def test_operators_know_every_field(everything: list[Manifest]) -> None:
    theirs = [manifest for manifest in everything if manifest["apiVersion"] in OF_OPERATORS]
    assert {manifest["kind"] for manifest in theirs} == {"ScaledObject", "TriggerAuthentication", "PodMonitor"}
    for manifest in theirs:
        validate(manifest)


def test_every_role_is_run_with_settings_that_exist(manifests: list[Manifest]) -> None:
    found = workloads(manifests)
    assert set(found) == set(RoleName)
    jobs = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    for workload in (*found.values(), *jobs):
        names = [each["name"] for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]]
        assert {name for name in names if not name.startswith("OTEL_")} <= KNOWN
        assert len(names) == len(set(names))
    for role, workload in found.items():
        assert workload["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", role]


def test_a_role_has_the_secrets_that_it_needs_and_no_other(manifests: list[Manifest]) -> None:
    for role, workload in workloads(manifests).items():
        names = environment(workload)
        assert ("DISPATCHER_ENCRYPTION_KEY" in names) == (role in NEED_CONFIGURATION)
        assert ("DISPATCHER_CLICKHOUSE_URL" in names) == (role in NEED_CLICKHOUSE)
        assert (not {"DISPATCHER_AUTH_SECRET", "DISPATCHER_AUTH_JWKS_URL"}.isdisjoint(names)) == (role == "portal")
        for each in (each for name, each in names.items() if name.startswith(PREFIX)):
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


def ports_out_of(manifests: list[Manifest], role: str) -> set[int]:
    (policy,) = (each for each in manifests if each["kind"] == "NetworkPolicy" and component(each) == role)
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", ())}


def test_who_makes_spans_knows_the_collector_and_reaches_it(everything: list[Manifest]) -> None:
    for role, workload in workloads(everything).items():
        names = environment(workload)
        makes = role in MAKE_SPANS
        assert exports_spans({name: each.get("value", "") for name, each in names.items()}) == makes
        assert (4318 in ports_out_of(everything, role)) == makes
        assert {"OTEL_TRACES_SAMPLER_ARG", "OTEL_EXPORTER_OTLP_HEADERS"} <= names.keys()


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("https://collector.example/otlp", 443), ("http://collector", 80), ("http://[fd00::1]:4318/", 4318), ("", None)],
)
def test_the_port_of_the_collector_is_that_of_its_url(endpoint: str, port: int | None, tmp_path: Path) -> None:
    minimal = {"kafka": {"bootstrapServers": "kafka:9092"}, "tracing": {"endpoint": endpoint}}
    manifests = rendered(minimal, tmp_path)
    assert ports_out_of(manifests, "matcher") == {53, 9092} | ({port} if port else set())
    assert exports_spans(dict.fromkeys(environment(workloads(manifests)["sender"]), "x")) == bool(endpoint)


def test_static_members_are_named_after_their_pods(everything: list[Manifest]) -> None:
    for role, workload in workloads(everything).items():
        static = role in {"sender", "relay"}
        assert (workload["kind"] == "StatefulSet") == static
        assert ("DISPATCHER_KAFKA_GROUP_INSTANCE_ID" in environment(workload)) == static


def test_keda_looks_at_groups_and_topics_that_exist(everything: list[Manifest]) -> None:
    topics = load_topics(default_topics_file(), PREFIX_OF_EVERYTHING)
    partitions = {topic.name: topic.partitions for topic in topics.declared}
    scaled = {component(each): each["spec"] for each in everything if each["kind"] == "ScaledObject"}
    looked_at = {
        # Without a topic, KEDA adds up all that the group reads.
        "matcher": (Group.MATCHER, [None], topics.events.values()),
        "sender": (Group.SENDER, [topics.deliveries, topics.bulk], [topics.deliveries, topics.bulk]),
    }
    assert scaled.keys() == looked_at.keys()
    for role, (group, named, read) in looked_at.items():
        triggers = [trigger["metadata"] for trigger in scaled[role]["triggers"]]
        assert [each.get("topic") for each in triggers] == named
        assert {each["consumerGroup"] for each in triggers} == {topics.group(group)}
        assert all(isinstance(value, str) for each in triggers for value in each.values())
        assert scaled[role]["maxReplicaCount"] <= min(partitions[topic] for topic in read)


def test_keda_scales_and_signs_in_with_what_there_is(everything: list[Manifest]) -> None:
    there = {(each["kind"], each["metadata"]["name"]): each for each in everything}
    secrets = {reference for workload in workloads(everything).values() for reference in secrets_of(workload)}
    for each in everything:
        if each["kind"] == "ScaledObject":
            target = each["spec"]["scaleTargetRef"]
            workload = there[target["kind"], target["name"]]
            assert component(workload) == component(each)
            assert "replicas" not in workload["spec"], "Helm would undo what KEDA does"
            for trigger in each["spec"]["triggers"]:
                assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in there
        elif each["kind"] == "TriggerAuthentication":
            for one in each["spec"]["secretTargetRef"]:
                assert (one["name"], one["key"]) in secrets


def test_whatever_is_selected_is_there(manifests: list[Manifest]) -> None:
    pods = [each["spec"]["template"] for each in manifests if each["kind"] in {"Deployment", "StatefulSet", "Job"}]
    for manifest in manifests:
        spec, kind = manifest.get("spec", {}), manifest["kind"]
        selector = spec.get("podSelector") or spec.get("selector")
        if selector is None:
            continue
        labels = selector if kind == "Service" else selector["matchLabels"]
        selected = [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]
        assert selected, f"{kind} {manifest['metadata']['name']} selects nothing"
        ports = {
            "Service": [port["targetPort"] for port in spec.get("ports", ())],
            "NetworkPolicy": [port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"]],
            "PodMonitor": [endpoint["port"] for endpoint in spec.get("podMetricsEndpoints", ())],
        }.get(kind, [])
        for pod in selected:
            if "ports" in pod["spec"]["containers"][0]:
                assert set(ports) <= {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
                assert set(spec.get("podTargetLabels", ())) <= pod["metadata"]["labels"].keys()


def test_the_values_name_every_secret_that_is_read(everything: list[Manifest]) -> None:
    told = set(re.findall(rf"{PREFIX}[A-Z_]+", (CHART / "values.yaml").read_text()))
    read = {key for workload in workloads(everything).values() for _, key in secrets_of(workload) if key in KNOWN}
    # This installation has a provider of keys instead.
    assert told == read | {"DISPATCHER_AUTH_SECRET"}


def test_settings_that_may_be_given_are_those_that_no_value_stands_for(everything: list[Manifest]) -> None:
    of_the_chart = {name for workload in workloads(everything).values() for name in environment(workload)}
    given = {PREFIX + name for name in yaml.safe_load((VALUES / "everything.yaml").read_text())["settings"]}
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]
    assert {PREFIX + name for name in schema["propertyNames"]["enum"]} == (
        KNOWN - (of_the_chart - given) - OF_ONE_MACHINE - {"DISPATCHER_AUTH_SECRET"}
    )


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
        ({"settings": {"REQUEST_TIMEOUTS": "10s"}}, "REQUEST_TIMEOUTS"),
        ({"settings": {"METRICS_PORT": 9091}}, "METRICS_PORT"),
        ({"tracing": {"endpoint": "collector:4318"}}, "endpoint"),
        ({"extraEnv": {"OTEL_TRACES_SAMPLER": "always_on"}}, "extraEnv"),
        ({"extraEnv": [{"name": "DISPATCHER_LOG_LEVEL", "value": "debug"}]}, "extraEnv"),
        ({"extraEnv": [{"name": "OTEL_TRACES_SAMPLER_ARG", "value": 0.01}]}, "extraEnv"),
        ({"roles": {"sender": {"autoscaling": {"enabled": True, "maxReplicas": 13}}}}, "maxReplicas"),
    ],
)
def test_helm_says_what_is_wrong(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    complete = values if not values or "kafka" in values else {"kafka": {"bootstrapServers": "kafka:9092"}, **values}
    with pytest.raises(Refused, match=said):
        rendered(complete, tmp_path)
