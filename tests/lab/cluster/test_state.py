from itertools import pairwise

import pytest

from lab.cluster.build import build
from lab.cluster.faults import KINDS, FaultError
from lab.cluster.model import Guest
from lab.cluster.settings import Settings
from lab.cluster.state import Lab

from .conftest import NOW, Clock

SIGNALS = ("cpu", "read", "write", "rx", "tx", "read_wait", "write_wait")


def guest(lab: Lab, name: str) -> Guest:
    found = lab.find_guest(name)
    assert found is not None
    return found


def test_the_lab_knows_its_guests_by_number_id_and_name(lab: Lab) -> None:
    assert guest(lab, "103") == guest(lab, "qemu/103") == guest(lab, "win-sql01")
    assert lab.find_guest("nobody") is None


def test_a_restart_continues_every_counter(lab: Lab) -> None:
    again = Lab(build(Settings()), Settings(), Clock(NOW + 3600))
    sql = guest(lab, "win-sql01")
    assert again.counter(sql, "read", NOW + 3600) == lab.counter(sql, "read", NOW + 3600)
    assert again.boot(sql, NOW + 3600) == lab.boot(sql, NOW)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_hosts_counter_is_the_sum_of_its_guests_and_its_own(lab: Lab, signal: str) -> None:
    host = lab.cluster.host["pve1"]
    start, end = NOW, NOW + 600
    weight = {g.vmid: g.vcpus if signal == "cpu" else 1 for g in lab.cluster.guests}
    own = lab.curves(host)[signal].between(start, end) * (host.cpus if signal == "cpu" else 1)
    guests = sum(
        lab.area(g, signal, start, end) * weight[g.vmid] for g in lab.cluster.residents["pve1"] if g.running
    )
    assert lab.host_area(host, signal, start, end) == pytest.approx(own + guests)
    assert guests > own


def test_one_guest_moves_there_and_back_every_half_hour(lab: Lab) -> None:
    roam = guest(lab, "win-roam01")
    places = [lab.location(roam, NOW + 60 * i) for i in range(121)]
    moves = sum(a != b for a, b in pairwise(places))
    assert set(places) == {"pve2", "pve3"}
    assert moves == 4
    arrived = lab.arrived(roam, NOW)
    assert 0 < NOW - arrived <= 1800
    assert lab.location(roam, arrived - 1) != lab.location(roam, arrived)
    assert lab.migrating(roam, arrived + 1790)
    assert not lab.migrating(roam, arrived + 900)


def test_what_moves_is_counted_where_it_was(lab: Lab) -> None:
    roam = guest(lab, "win-roam01")
    start, end = lab.epoch - 7200, NOW
    there = {host: lab.stay_area(roam, host, "rx", start, end) for host in ("pve2", "pve3")}
    assert sum(there.values()) == pytest.approx(lab.area(roam, "rx", start, end))
    assert min(there.values()) > 0.4 * max(there.values())
    # A second call goes on from the first one and gives what a fresh start gives.
    later = lab.stay_area(roam, "pve3", "rx", start, end + 5000)
    fresh = Lab(lab.cluster, lab.settings, lab.clock).stay_area(roam, "pve3", "rx", start, end + 5000)
    assert later == pytest.approx(fresh, rel=1e-9)


def test_counters_never_fall_through_faults_that_come_go_and_are_cleared(lab: Lab, clock: Clock) -> None:
    sql, host = guest(lab, "win-sql01"), lab.cluster.host["pve2"]
    last: dict[str, float] = {}

    def check() -> None:
        now = {f"guest {s}": lab.counter(sql, s, clock.now) for s in SIGNALS}
        now |= {f"host {s}": lab.host_counter(host, s, clock.now) for s in SIGNALS}
        now["idle"] = (clock.now - lab.boot(host, clock.now)) * host.cpus - now["host cpu"]
        now["util"] = lab.host_alone(host, "util", clock.now)
        fell = [name for name, value in now.items() if value < last.get(name, 0)]
        assert not fell, fell
        last.update(now)

    faults = []
    for step in range(80):
        clock.now += 15
        if step == 5:
            faults.append(lab.break_("cpu_hog", "103", None, {}))
            lab.break_("disk_latency_storm", "103", 120, {"factor": 60})
        if step == 12:
            faults.append(lab.break_("cpu_hog", "pve2", 3000, {}))
            lab.break_("disk_latency_storm", "pve2", 100, {})
        if step == 40:
            clock.now += 7
            assert all(lab.faults.clear(fault.id, clock.now) for fault in faults)
        check()


def test_a_busy_guest_shows_on_its_host(lab: Lab, clock: Clock) -> None:
    sql, host = guest(lab, "win-sql01"), lab.cluster.host["pve2"]
    before = lab.host_rate(host, "cpu", clock.now)
    quiet = lab.rate(sql, "cpu", clock.now)
    lab.break_("cpu_hog", "win-sql01", 60, {})
    assert lab.rate(sql, "cpu", clock.now) == 0.97
    assert lab.host_rate(host, "cpu", clock.now) - before == pytest.approx((0.97 - quiet) * sql.vcpus)
    clock.now += 61
    assert lab.rate(sql, "cpu", clock.now) < 0.9


def test_a_busy_host_makes_its_guests_wait(lab: Lab) -> None:
    app = guest(lab, "win-app01")
    assert lab.rate(app, "steal", NOW) == 0
    lab.break_("cpu_hog", "pve1", 60, {})
    host = lab.cluster.host["pve1"]
    assert lab.host_rate(host, "cpu", NOW) / host.cpus == pytest.approx(0.97)
    assert lab.rate(app, "steal", NOW) == pytest.approx(0.12)


def test_memory_leaks_until_it_is_full_and_comes_back(lab: Lab, clock: Clock) -> None:
    app = guest(lab, "win-app01")
    quiet = lab.memory_used(app, clock.now)
    fault = lab.break_("memory_leak", "102", None, {"fill_seconds": 100})
    clock.now += 50
    assert quiet < lab.memory_used(app, clock.now) < 0.98
    clock.now += 60
    assert lab.memory_used(app, clock.now) == pytest.approx(0.98)
    lab.faults.clear(fault.id, clock.now)
    assert lab.memory_used(app, clock.now) < 0.8


def test_a_host_that_is_down_takes_its_guests_along(lab: Lab, clock: Clock) -> None:
    sql, app = guest(lab, "win-sql01"), guest(lab, "win-app01")
    booted = lab.boot(sql, clock.now)
    lab.break_("host_down", "pve2", 300, {})
    assert not lab.online("pve2", clock.now)
    assert not lab.running(sql, clock.now)
    assert lab.running(app, clock.now)
    assert lab.rate(sql, "cpu", clock.now) == 0
    clock.now += 301
    assert lab.running(sql, clock.now)
    assert lab.boot(sql, clock.now) == clock.now - 1 > booted
    assert lab.counter(sql, "rx", clock.now) < 1e8


def test_what_moves_stays_while_one_of_its_hosts_is_down(lab: Lab, clock: Clock) -> None:
    roam = guest(lab, "win-roam01")
    here = lab.location(roam, clock.now)
    other = {"pve2": "pve3", "pve3": "pve2"}[here]
    lab.break_("host_down", other, None, {})
    assert {lab.location(roam, clock.now + 300 * i) for i in range(24)} == {here}
    assert lab.running(roam, clock.now + 5000)


def test_a_crash_can_leave_the_process_behind(lab: Lab) -> None:
    app = guest(lab, "win-app01")
    fault = lab.break_("guest_down", "102", None, {"mode": "os"})
    assert lab.process(app, NOW)
    assert not lab.running(app, NOW)
    lab.faults.clear(fault.id, NOW)
    lab.break_("guest_down", "102", None, {})
    assert not lab.process(app, NOW)


@pytest.mark.parametrize(
    ("kind", "target", "params", "text"),
    [
        ("flood", "pve1", {}, "no such fault: 'flood'; there are host_down, guest_down"),
        ("host_down", "pve9", {}, "can't be aimed at 'pve9'; there are hosts pve1, pve2, pve3"),
        ("host_down", "101", {}, "there are hosts pve1"),
        ("agent_hung", "999", {}, "there are guests 101, 102"),
        ("gpu_hot", "pve1", {}, "host pve1 has no GPU; there are guests 102, 111; hosts pve3"),
        ("gpu_hot", "101", {}, "guest 101 has no GPU"),
        ("token_revoked", "x@pve!y", {}, "there are the tokens discovery@pve!monitoring"),
        ("gpu_memory_full", "101", {}, "guest 101 has no GPU"),
        ("delivery_refused", "a/b", {}, "give the name of a webhook, or mail"),
        ("api_down", "somebody", {}, "hosts pve1, pve2, pve3; or all"),
        ("cpu_hog", "101", {"speed": 3}, "cpu_hog has no parameter speed; it has busy"),
        ("cpu_hog", "101", {"busy": "very"}, "busy is a number"),
        ("api_errors", "pve1", {"share": 1.5}, "share is 1.5; give a part of all answers, up to 1"),
        ("answers_cut", "pve1", {"share": 0}, "share is 0"),
    ],
)
def test_a_fault_that_cannot_be_says_what_can(
    lab: Lab, kind: str, target: str, params: dict[str, float | str], text: str
) -> None:
    with pytest.raises(FaultError, match=text.replace("?", r"\?")):
        lab.break_(kind, target, None, params)


def test_every_kind_has_a_target_that_works(lab: Lab) -> None:
    targets = {
        "host": "pve3", "guest": "111", "member": "pve3", "token": "discovery@pve!monitoring",
        "sink": "alerts",
    }  # fmt: skip
    for name, kind in KINDS.items():
        for target in kind.targets:
            assert lab.break_(name, targets[target], 1, {}).kind == name
    with pytest.raises(FaultError, match="seconds is 0"):
        lab.break_("host_down", "pve1", 0, {})
