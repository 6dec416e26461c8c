"""Grafana's variables in PromQL, put in without asking anybody: what is chosen by hand becomes "all"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BUILT_IN = {
    "__rate_interval": "5m",
    "__interval": "1m",
    "__range": "1h",
    "__interval_ms": "60000",
    "__range_s": "3600",
    "__range_ms": "3600000",
}
"""Fixed spans in place of those that Grafana takes from the chosen time and the width of the panel."""

_FIXED_TYPES = {"constant", "custom", "interval", "textbox", "datasource"}
"""Types whose current value is in the dashboard itself; those of the others come from a query."""

ALL = ".*"

_VARIABLE = re.compile(r"\$\{(\w+)(?:[.:][^}]*)?\}|\$(\w+)|\[\[(\w+)(?::\w+)?\]\]")
_MATCHER = re.compile(r'(=~|!~|!=|=)(\s*)"((?:[^"\\]|\\.)*)"')


def current_values(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The values of a dashboard's variables: the current one where it is fixed, else everything."""
    values = {}
    for variable in (dashboard.get("templating") or {}).get("list") or []:
        chosen = (variable.get("current") or {}).get("value")
        if isinstance(chosen, list):
            chosen = chosen[0] if len(chosen) == 1 else None
        fixed = variable.get("type") in _FIXED_TYPES and isinstance(chosen, str)
        if fixed and chosen not in ("$__all", ""):
            values[str(variable.get("name"))] = str(chosen)
        else:
            values[str(variable.get("name"))] = _first_option(variable) or ALL
    return values


def _first_option(variable: Mapping[str, Any]) -> str:
    """The first option of a custom or interval variable that has no current value."""
    if variable.get("type") not in {"custom", "interval"} or variable.get("includeAll"):
        return ""
    return str(variable.get("query") or "").split(",")[0].rpartition(":")[2].strip()


def substitute(text: str, values: Mapping[str, str]) -> str:
    """The text with built-in variables and the given ones put in; unknown names stay."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[3]
        return _BUILT_IN.get(name, values.get(name, match[0]))

    return _VARIABLE.sub(value, text)


def query(expression: str, values: Mapping[str, str]) -> str:
    """The expression without variables; a label that is matched with "all" is matched as a regex."""

    def matcher(match: re.Match[str]) -> str:
        operator, space, text = match.groups()
        replaced = substitute(text, values)
        if replaced != text and ALL in replaced:
            # "Everything but all" would be nothing: such a filter is left open too.
            operator = "=~"
            replaced = ALL if match[1] in ("!=", "!~") else replaced
        return f'{operator}{space}"{replaced}"'

    return substitute(_MATCHER.sub(matcher, expression), values)
