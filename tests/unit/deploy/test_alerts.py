"""deploy/prometheus/alerts.yaml: real names, a runbook for each alert, and each fires when it should."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.custom_resources import validate
from tests.support.metric_names import ROOT, foreign, known, metrics_in
from tests.support.promtool import promtool
from tests.support.runbook import RUNBOOK
from tools.dashboard import WITHOUT_A_CALL

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RULE_TESTS = Path(__file__).parent / "alerts_test.yaml"
GROUPS = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
OF_ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_name_exists(rule: dict[str, Any]) -> None:
    named = metrics_in(rule["expr"])
    assert named
    assert not named - known() - RECORDED - foreign()


def test_the_success_rate_leaves_out_what_the_dashboards_does() -> None:
    [rule] = [rule for rule in RULES if rule.get("record") == "dispatcher:attempts:rate10m"]
    assert f'reason!~"{"|".join(WITHOUT_A_CALL)}"' in rule["expr"]


def section(alert: str) -> str:
    found = re.search(rf"\n### {alert}\n(.*?)(?=\n##|\Z)", RUNBOOK, re.DOTALL)
    assert found, f"docs/operations.md has no section about {alert}"
    return found[1]


@pytest.mark.parametrize("alert", OF_ALERTS)
def test_every_alert_says_what_to_do(alert: str) -> None:
    rule = OF_ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    about = section(alert)
    assert "**Look:**" in about
    assert "**Do:**" in about
    assert "`" in about.split("**Look:**")[1].split("**Do:**")[0], "the exact command is missing"


def test_the_runbook_is_about_nothing_else() -> None:
    single_words = set(re.findall(r"^### ([A-Z]\w+)$", RUNBOOK, re.MULTILINE))
    assert single_words == set(OF_ALERTS)


def test_every_alert_is_tested() -> None:
    tested = {
        case["alertname"]
        for test in yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == set(OF_ALERTS)


def test_they_are_what_a_prometheus_rule_specifies() -> None:
    kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "dispatcher"}}
    validate({**kind, "spec": yaml.safe_load(ALERTS.read_text(encoding="utf-8"))})


def test_promtool_finds_nothing_wrong() -> None:
    done = subprocess.run([promtool(), "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_alerts_fire_when_they_should() -> None:
    done = subprocess.run([promtool(), "test", "rules", RULE_TESTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
