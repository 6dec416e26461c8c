"""The rules as Prometheus gets them: which files, and where their links lead."""

from __future__ import annotations

import yaml

from components.render.rule_files import rule_files
from tests.support.examples import ROOT

GRAFANA = "https://grafana.example.com"
LINKS = {"runbook_url": None, "dashboard_url": GRAFANA}


def test_rule_files_leave_tests_out_and_complete_runbook_links() -> None:
    files = rule_files(ROOT / "rules", {**LINKS, "runbook_url": "https://git.example.com/ops"})
    assert files
    assert not [name for name in files if "_test" in name]
    links = [
        rule["annotations"]["runbook_url"]
        for text in files.values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert links
    assert {link.split("/docs/runbooks/")[0] for link in links} == {"https://git.example.com/ops"}


def test_links_to_dashboards_lead_to_grafana() -> None:
    text = "".join(rule_files(ROOT / "rules", LINKS).values())
    assert text.count("dashboard_url:") == text.count(f"dashboard_url: {GRAFANA}/d/") > 0


def test_without_a_base_url_links_are_paths_in_the_project() -> None:
    files = rule_files(ROOT / "rules", LINKS)
    assert "runbook_url: docs/runbooks/" in "".join(files.values())
