"""Which drills run side by side: those that break nothing that another one breaks or needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ops.gameday.model import Alert, Drill

# Faults after which nothing of their target answers as it did.
_WHOLE = {"host_down", "guest_down", "guest_stopped", "guest_reboot", "corosync_down"}
# Faults that show in the Proxmox API; the others show in exporters.
_IN_API = {"api_down", "ha_error", "storage_offline", "subscription_ends"}
# Those that take the guests along.
_WITH_GUESTS = {"host_down", "corosync_down"}
# Parts of the platform, by the faults that break them for everybody.
_PARTS = {
    ("api_down", "all"): "api",
    ("container_stopped", "pve-exporter"): "exporter",
    ("token_revoked", "discovery@pve!monitoring"): "discovery",
    ("container_stopped", "discovery"): "discovery",
    ("container_stopped", "prometheus"): "prometheus",
    ("delivery_refused", "alerts"): "webhook",
    ("delivery_refused", "watchdog"): "beats",
    ("delivery_refused", "mail"): "mail",
}
_CONFIG = "configuration"
_ANY, _EXPORTERS = "*", "exporters"
# Of the time that an alert may take to be told, what it takes; and the seconds until it is gone afterwards.
_USUAL, _SETTLES_S = 0.75, 45.0

# Whether an alert hears from the Proxmox API only.
Depends = Callable[[Alert], bool]
Subject = tuple[str, str]


def broken(drill: Drill, homes: Mapping[str, str]) -> set[Subject]:
    """What a drill breaks: (host or guest, fault); `*` for all of it, `exporters` for what they tell.

    Args:
        drill: that is asked about.
        homes: by guest, the host it is on.
    """
    found: set[Subject] = set()
    for one in drill.breaks:
        if one.kind in {"config_broken", "rule_failing"}:
            found.add((_CONFIG, _ANY))
            continue
        found.add((one.target, _covered(one.kind)))
        if one.kind in _WITH_GUESTS:
            found |= {(guest, _ANY) for guest, host in homes.items() if host == one.target}
    return found


def parts(drill: Drill) -> set[str]:
    """The parts of the platform that a drill breaks."""
    return {part for one in drill.breaks if (part := _PARTS.get((one.kind, one.target)))}


def needed(drill: Drill, depends: Depends) -> set[str]:
    """The parts of the platform that a drill needs; what it breaks itself isn't among them."""
    alerts = (*drill.expects, *drill.silences)
    found = {"prometheus", "webhook", *drill.needs}
    if any(alert.severity == "critical" for alert in alerts):
        found.add("mail")
    if any(alert.severity == "none" for alert in alerts):
        found.add("beats")
    if any(depends(alert) for alert in alerts):
        found |= {"api", "exporter"}
    return found - parts(drill)


def clash(one: Drill, other: Drill, homes: Mapping[str, str], depends: Depends) -> bool:
    """Whether two drills can't run side by side."""
    if other.name == one.during or one.name == other.during:
        return False
    if parts(one) & parts(other):
        return True
    if parts(one) & needed(other, depends) or parts(other) & needed(one, depends):
        return True
    return any(
        a[0] == b[0] and (_touches(a[1], b[1]) or _touches(b[1], a[1]))
        for a in broken(one, homes)
        for b in broken(other, homes)
    )


def _covered(kind: str) -> str:
    if kind == "exporter_gone":
        return _EXPORTERS
    return _ANY if kind in _WHOLE else kind


def _touches(one: str, other: str) -> bool:
    return one in (_ANY, other) or (one == _EXPORTERS and other not in _IN_API)


def startable(
    waiting: Sequence[Drill],
    running: Sequence[Drill],
    told: frozenset[str],
    homes: Mapping[str, str],
    depends: Depends,
) -> list[Drill]:
    """The waiting drills that can begin now, in the plan's order.

    Args:
        waiting: drills that haven't begun.
        running: drills whose alerts aren't all gone yet.
        told: names of drills of which everything has been told.
        homes: by guest, the host it is on.
        depends: whether an alert hears from the Proxmox API only.
    """
    found: list[Drill] = []
    names = {drill.name for drill in (*waiting, *running)}
    for drill in waiting:
        if drill.during in names - told:
            continue
        if not any(clash(drill, other, homes, depends) for other in (*running, *found)):
            found.append(drill)
    return found


def expected_seconds(drills: Sequence[Drill], homes: Mapping[str, str], depends: Depends) -> float:
    """How long the drills usually take, told by going through the schedule."""
    now, waiting = 0.0, list(drills)
    ends: dict[str, float] = {}
    while waiting:
        running = [drill for drill in drills if drill.name in ends and ends[drill.name] > now]
        told = frozenset(name for name, end in ends.items() if end - _SETTLES_S <= now)
        for drill in startable(waiting, running, told, homes, depends):
            waiting.remove(drill)
            ends[drill.name] = now + drill.within * _USUAL + _SETTLES_S
            if drill.during in ends:
                ends[drill.during] = max(ends[drill.during], ends[drill.name])
        moments = [moment for end in ends.values() for moment in (end - _SETTLES_S, end) if moment > now]
        now = min(moments, default=now)
    return max(ends.values(), default=0.0)
