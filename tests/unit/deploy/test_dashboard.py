"""deploy/grafana/dashboard.json: generated, of real names, and nothing that is measured is left out."""

import json

from tests.support.metric_names import ROOT, foreign, known, metrics_in
from tools import dashboard

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_is_what_the_tool_writes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), "run python -m tools.dashboard"


def test_every_name_exists_and_every_metric_is_drawn() -> None:
    named = set().union(*map(metrics_in, EXPRESSIONS))
    assert not named - known() - foreign()
    drawn = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in named}
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in known()}
    assert families - drawn == set()


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_names_in_expressions_are_found() -> None:
    expression = 'sum by (group) (rate(a_total{topic=~"b_c"}[5m])) / on (d_e) x:y:ratio > 0.5 and f_g'
    assert metrics_in(expression) == {"a_total", "x:y:ratio", "f_g"}
