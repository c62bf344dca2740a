"""The runbook in docs/operations.md."""

from tests.support.metric_names import ROOT

GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RUNBOOK = GUIDE.split("\n## Runbook\n")[1].split("\n## ")[0]
