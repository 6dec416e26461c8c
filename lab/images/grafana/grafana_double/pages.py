"""The pages for a browser: lists, and each dashboard as tables of its present values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from typing import Any

import httpx
from starlette.responses import HTMLResponse, Response

from . import NOTICE, dashboards, datasources, drawings, folders, variables
from .api import Call, Route, get
from .store import Document

REFRESH_S = 15
SERIES_SHOWN = 20
"""How many series of one query are listed."""
PARALLEL = 8
"""How many queries of one page run at once."""

_NOT_DRAWN = (
    "This image was built without the drawings of dashboards (that takes node and npm): they are shown as "
    "tables of present values."
)

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:#1d232b;background:#fafbfc}
main{max-width:68rem;margin:0 auto;padding:1rem}
.notice{background:#fff3cd;border-bottom:1px solid #e0c766;padding:.6rem 1rem;text-align:center}
section{background:#fff;border:1px solid #dde2e8;border-radius:6px;margin:1rem 0;padding:.6rem 1rem}
h1{font-size:1.4rem} h2{font-size:1.05rem;margin:.2rem 0} .kind,.none{color:#66707d}
code{font-size:.85em;color:#465161;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%} td{border-top:1px solid #eef1f4;padding:.2rem .4rem}
td.value{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums} .fault{color:#a3261d}
"""


@dataclass(frozen=True)
class Query:
    """One query of a panel, ready to be sent."""

    expression: str
    legend: str
    source: Document | None


@dataclass(frozen=True)
class Panel:
    """What is shown of a panel."""

    title: str
    kind: str
    description: str
    unit: str
    text: str
    queries: tuple[Query, ...]


def _page(title: str, body: str, status: int = 200, *, refresh: bool = False) -> HTMLResponse:
    again = f'<meta http-equiv="refresh" content="{REFRESH_S}">' if refresh else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)} - stand-in</title>'
        f"<style>{_STYLE}</style></head><body>"
        f'<div class="notice">{escape(NOTICE)}.</div>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status,
    )


def sign_in() -> Response:
    """What a browser without credentials gets: it asks for user and password."""
    page = _page("Sign in", "<p>Reload the page and give the user and password of Grafana.</p>", 401)
    page.headers["WWW-Authenticate"] = 'Basic realm="stand-in for Grafana"'
    return page


# What Grafana's own form sends; afterwards the browser goes where it came from.
_FORM = """
<form id="login"><p><input name="user" placeholder="user" autocomplete="username" required>
<input name="password" type="password" placeholder="password" autocomplete="current-password" required>
<button>Sign in</button></p><p class="fault" id="fault"></p></form>
<script>
document.getElementById("login").onsubmit = async (event) => {
  event.preventDefault();
  const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
  const headers = {"Content-Type": "application/json"};
  const answer = await fetch("/login", {method: "POST", headers, body});
  if (!answer.ok) {
    document.getElementById("fault").textContent = answer.status === 429
      ? "Too many attempts: wait a minute." : "Wrong user or password.";
    return;
  }
  const back = new URLSearchParams(location.search).get("redirectTo") || "/";
  location.assign(new URL(back, location.origin).origin === location.origin ? back : "/");
};
</script>
"""


def _login(_: Call) -> Response:
    return _page("Sign in", _FORM)


def _listing(call: Call) -> Response:
    with call.store.transaction():
        tree = call.store.all(folders.KIND)
        boards = call.store.all(folders.DASHBOARD)
        sources = call.store.all(datasources.KIND)
    sections = [_section(folder["title"], folder["uid"], boards) for folder in tree]
    sections.append(_section("Dashboards without a folder", "", boards))
    listed = "".join(
        f"<tr><td>{escape(source['name'])}</td><td>{escape(source['type'])}</td>"
        f"<td><code>{escape(source['url'])}</code></td></tr>"
        for source in sources
    )
    sections.append(f"<section><h2>Data sources</h2>{_table(listed)}</section>")
    note = "" if drawings.page() is not None else f'<p class="kind">{_NOT_DRAWN}</p>'
    return _page("Dashboards", note + "".join(sections))


def _section(title: str, uid: str, boards: Sequence[Document]) -> str:
    rows = "".join(
        f'<tr><td><a href="{escape(dashboards.url(board))}">{escape(board["title"])}</a></td></tr>'
        for board in boards
        if board["folderUid"] == uid
    )
    return f"<section><h2>{escape(title)}</h2>{_table(rows)}</section>"


def _table(rows: str) -> str:
    return f"<table>{rows}</table>" if rows else '<p class="none">nothing</p>'


def _dashboard(call: Call) -> Response:
    with call.store.transaction():
        board = dashboards.find(call.store, call.params["uid"])
        sources = call.store.all(datasources.KIND)
        usual = datasources.default_prometheus(call.store)
    if (drawn := drawings.page()) is not None:
        return drawn
    panels = list(_panels(board["model"], {source["uid"]: source for source in sources}, usual))
    queries = [query for panel in panels for query in panel.queries]
    with ThreadPoolExecutor(PARALLEL) as pool:
        results = iter(list(pool.map(lambda query: _rows(call, query), queries)))
    sections = [_panel(panel, [next(results) for _ in panel.queries]) for panel in panels]
    note = (
        f'<p class="kind">Present values, asked again every {REFRESH_S} s. <a href="/">All dashboards</a></p>'
    )
    return _page(board["title"], note + "".join(sections), refresh=True)


def _panels(
    model: Mapping[str, Any], sources: Mapping[str, Document], usual: Document | None
) -> Iterator[Panel]:
    values = variables.current_values(model)
    for panel in _flat(model.get("panels") or []):
        options, field = panel.get("options") or {}, panel.get("fieldConfig") or {}
        yield Panel(
            title=variables.substitute(str(panel.get("title") or ""), values),
            kind=str(panel.get("type") or ""),
            description=str(panel.get("description") or ""),
            unit=str((field.get("defaults") or {}).get("unit") or ""),
            text=str(options.get("content") or "") if panel.get("type") == "text" else "",
            queries=tuple(
                Query(
                    variables.query(str(target["expr"]), values),
                    str(target.get("legendFormat") or ""),
                    _source(target.get("datasource") or panel.get("datasource"), values, sources, usual),
                )
                for target in panel.get("targets") or []
                if target.get("expr") and not target.get("hide")
            ),
        )


def _flat(panels: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in panels:
        yield panel
        yield from panel.get("panels") or []


def _source(
    reference: object, values: Mapping[str, str], sources: Mapping[str, Document], usual: Document | None
) -> Document | None:
    uid = reference.get("uid") if isinstance(reference, Mapping) else reference
    name = variables.substitute(str(uid), values) if uid else ""
    return usual if name in ("", variables.ALL, "default") else sources.get(name)


def _rows(call: Call, query: Query) -> str:
    if query.source is None:
        return '<tr><td class="fault">its data source does not exist here</td></tr>'
    try:
        series = call.client.instant_query(query.source, query.expression)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        return f'<tr><td class="fault">{escape(str(error) or type(error).__name__)}</td></tr>'
    if not series:
        return '<tr><td class="none">no data</td></tr>'
    rows = [
        f"<tr><td>{escape(_name(one['metric'], query.legend))}</td>"
        f'<td class="value">{escape(_number(one["value"][1]))}</td></tr>'
        for one in series[:SERIES_SHOWN]
    ]
    if len(series) > SERIES_SHOWN:
        rows.append(f'<tr><td class="none">and {len(series) - SERIES_SHOWN} more</td></tr>')
    return "".join(rows)


def _name(metric: Mapping[str, str], legend: str) -> str:
    if legend and legend != "__auto":
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: metric.get(match[1], ""), legend)
    labels = ", ".join(f'{key}="{value}"' for key, value in metric.items() if key != "__name__")
    return f"{metric.get('__name__', '')}{{{labels}}}" if metric else "value"


def _number(text: str) -> str:
    value = float(text)
    if not math.isfinite(value) or value == int(value):
        return text
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"


def _panel(panel: Panel, results: Sequence[str]) -> str:
    if panel.kind == "row":
        return f"<h2>{escape(panel.title)}</h2>"
    kind = " · ".join(filter(None, (panel.kind, panel.unit and f"unit {panel.unit}")))
    parts = [f'<section><h2>{escape(panel.title)} <span class="kind">{escape(kind)}</span></h2>']
    parts += [f"<p>{escape(text)}</p>" for text in (panel.description, panel.text) if text]
    for query, rows in zip(panel.queries, results, strict=True):
        parts.append(f"<code>{escape(query.expression)}</code>{_table(rows)}")
    return "".join(parts) + "</section>"


ROUTES = (
    get("/", _listing, access="page", locked=False),
    get("/dashboards", _listing, access="page", locked=False),
    Route("GET", "/login", _login, None, "open", locked=False),
    # Their parameters are those of the drawings: time range and variables.
    Route("GET", "/d/{uid}", _dashboard, None, "page", locked=False),
    Route("GET", "/d/{uid}/{slug}", _dashboard, None, "page", locked=False),
)
