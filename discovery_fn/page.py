"""The inventory as a page for people. Pure; needs nothing from elsewhere."""

from __future__ import annotations

from html import escape

from .metrics import Status
from .model import GuestView, NodeView, Reason

REASONS = {
    Reason.PENDING: "Not asked yet.",
    Reason.EXCLUDED: "Left out on purpose: tag mon-off, DISCOVERY_INCLUDE or DISCOVERY_EXCLUDE.",
    Reason.NODE_OFFLINE: "Its node is offline, and it was never seen before.",
    Reason.NO_AGENT: "Turn on the QEMU guest agent in the VM's options, or set a static ipconfig0.",
    Reason.AGENT_DEAD: "The guest agent is turned on but doesn't answer: install or start it in the guest.",
    Reason.AGENT_DENIED: "The token may not ask guest agents: see the privileges in the README.",
    Reason.AGENT_UNSUPPORTED: "The guest agent doesn't know or doesn't allow guest-network-get-interfaces.",
    Reason.CONFIG_DENIED: "The token may not read the configuration: give it VM.Audit on this guest.",
    Reason.NO_ADDRESS: "The guest reports no usable address on its own network cards: check DHCP.",
    Reason.UNKNOWN_OS: "Neither ostype nor agent say which system it is: tag it mon-linux or mon-windows.",
    Reason.MOVED: "The guest is just being moved, started or stopped.",
    Reason.API_ERROR: "The API failed to answer for this guest; it is asked again within a minute.",
}

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
td { vertical-align: top; } code { font-size: .95em; }
.warn { border-left: .3rem solid #d97706; padding: .5rem 1rem; background: #d9770618; }
.dim { opacity: .65; }
"""


def page(status: Status) -> str:
    """Return the page."""
    inventory = status.inventory
    title = f"Discovery: {inventory.cluster or 'cluster not reached yet'}"
    unmonitored = [guest for guest in inventory.guests if guest.reason]
    monitored = [guest for guest in inventory.guests if guest.target]
    down = [guest for guest in inventory.guests if not guest.target and not guest.reason]
    return "".join(
        [
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)}</title>",
            "<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=30>",
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
            f"<p class=dim>{escape(_summary(status))}</p>",
            *_warnings(status),
            _guests("Running, but not watched", unmonitored, why=True),
            _guests("Watched", monitored, why=False),
            _nodes(inventory.nodes),
            _guests("Stopped and templates", down, why=False),
            "<p class=dim><a href=/guests>JSON</a> · <a href=/targets>targets</a> · ",
            "<a href=/metrics>metrics</a> · <a href=/docs>API</a></p></body></html>",
        ]
    )


def _summary(status: Status) -> str:
    age = "never read" if status.age is None else f"read {status.age:.0f} s ago"
    version = f"Proxmox VE {status.pve_version} · " if status.pve_version else ""
    active = next((endpoint.label for endpoint in status.inventory.endpoints if endpoint.active), "")
    return f"{version}{age} from {active}" + ("" if status.inventory.complete else " · not complete yet")


def _warnings(status: Status) -> list[str]:
    lines = []
    if status.authenticated is False:
        lines.append("The API refuses the token; what is shown is what was known before.")
    elif not status.fresh:
        lines.append("The inventory is stale: the API can't be read at the moment.")
    lacking = ", ".join(name for name, missing in status.missing.items() if missing)
    if lacking:
        lines.append(f"The token lacks {lacking}.")
    if status.held:
        lines.append(f"{status.held} guests are kept although the API lists them no more.")
    if status.inventory.conflicts:
        lines.append(f"Several guests share an address: {', '.join(status.inventory.conflicts)}.")
    return [f"<p class=warn>{escape(line)}</p>" for line in lines]


def _guests(title: str, guests: list[GuestView], *, why: bool) -> str:
    if not guests:
        return ""
    last = "What to do" if why else "Target"
    head = ["VMID", "Name", "Node", "State", "OS", "Size", "Disk", "Tags", last]
    rows = [[*_cells(guest), _why(guest) if why else _target(guest)] for guest in guests]
    return f"<h2>{escape(title)} ({len(guests)})</h2>{_table(head, rows)}"


def _cells(guest: GuestView) -> list[str]:
    size = f"{guest.vcpus} CPU, {guest.memory_gb} GiB"
    state = "template" if guest.template else guest.status
    if guest.stopped_unexpectedly:
        state = "went down, stopped by nobody"
    tags = guest.tags.strip(",").replace(",", ", ")
    texts = [str(guest.vmid), guest.name, guest.node, state, guest.os, size, guest.disk_type, tags]
    return [escape(text) for text in texts]


def _why(guest: GuestView) -> str:
    advice = REASONS.get(Reason(guest.reason), "") if guest.reason else ""
    return f"<code>{escape(guest.reason)}</code> {escape(advice)}"


def _target(guest: GuestView) -> str:
    note = (
        f" <span class=dim>not confirmed: {escape(guest.agent)}</span>"
        if guest.target and guest.agent
        else ""
    )
    return f"<code>{escape(guest.target)}</code>{note}" if guest.target else ""


def _nodes(nodes: tuple[NodeView, ...]) -> str:
    rows = [
        [escape(node.name), "online" if node.online else "offline", f"<code>{escape(node.target)}</code>"]
        for node in nodes
    ]
    return f"<h2>Nodes ({len(nodes)})</h2>{_table(['Name', 'State', 'Target'], rows)}" if nodes else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>"
