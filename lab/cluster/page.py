"""The control port's page for people."""

from html import escape
from typing import Any

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin-bottom:1.5rem}td,th{text-align:left;padding:.25rem .6rem;
border-bottom:1px solid #ddd}th{background:#f4f4f4}.off{color:#b00020}code{background:#f4f4f4;padding:0 .3rem}
@media(prefers-color-scheme:dark){body{background:#16181d;color:#ddd}th,code{background:#262a33}
td,th{border-color:#333}}"""
HELP = """<p>Break something: <code>POST /faults {"kind": "host_down", "target": "pve2"}</code>
(<a href=/kinds>kinds</a>); <a href=/state>state</a>, <a href=/faults>faults</a>, <a href=/calls>calls</a>,
<a href=/hooks>hooks</a>, <a href=/mail>mail</a></p></html>"""
SHOWN = 200


def table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A table; a row whose last cell is False is shown as off."""
    if not rows:
        return "<p>None.</p>"
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(_row(row, len(heads)) for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _row(row: tuple[Any, ...], width: int) -> str:
    cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row[:width])
    off = ' class="off"' if row[-1] is False else ""
    return f"<tr{off}>{cells}</tr>"


def render(state: dict[str, Any], notes: list[tuple[str, str, str]]) -> str:
    """The page: hosts, guests, faults, and the ``notes`` (time, where, what) that were received."""
    hosts = [(h["name"], h["address"], h["cpus"], f"{h['cpu']:.0%}", f"{h['memory_used']:.0%}", h["online"])
             for h in state["hosts"]]  # fmt: skip
    guests = [(g["vmid"], g["name"], g["type"], g["os"], g["node"], g["address"], g["running"])
              for g in state["guests"][:SHOWN]]  # fmt: skip
    faults = [(f["id"], f["kind"], f["target"]) for f in state["faults"]]
    more = len(state["guests"]) - len(guests)
    title = f"Cluster {escape(state['cluster'])}, Proxmox VE {escape(state['version'])} (simulated)"
    parts = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<meta http-equiv=refresh content=10><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>",
        "<h2>Faults</h2>",
        table(("Id", "Kind", "Target"), faults),
        "<h2>Hosts</h2>",
        table(("Host", "Address", "CPUs", "CPU", "Memory", "Online"), hosts),
        "<h2>Guests</h2>",
        table(("Id", "Name", "Type", "System", "Host", "Address", "Running"), guests),
        f"<p>and {more} more</p>" if more else "",
        "<h2>Notifications received</h2>",
        table(("When", "Where", "What"), notes),
        HELP,
    )
    return "".join(parts)
