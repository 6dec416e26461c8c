from typing import Any

import pytest
import requests

from lab.cluster import commands
from lab.cluster.client import LabError
from lab.cluster.faults import FaultError
from lab.cluster.model import Guest
from lab.cluster.state import Lab

from .conftest import Clock, Live


def guest(lab: Lab, name: str) -> Guest:
    found = lab.find_guest(name)
    assert found is not None
    return found


def row(live: Live, vmid: int) -> dict[str, Any]:
    return next(g for g in live.data("/cluster/resources?type=vm") if g["vmid"] == vmid)


class TestMigration:
    def test_a_guest_is_locked_and_then_elsewhere(self, lab: Lab, clock: Clock) -> None:
        sql = guest(lab, "103")
        commands.migrate(lab, "103", "pve1", 30)
        clock.now += 29
        assert (lab.location(sql, clock.now), lab.migrating(sql, clock.now)) == ("pve2", True)
        assert lab.running(sql, clock.now)
        clock.now += 1
        assert (lab.location(sql, clock.now), lab.migrating(sql, clock.now)) == ("pve1", False)
        assert lab.arrived(sql, clock.now) == clock.now
        assert sql in set(lab.residents(lab.cluster.host["pve1"], clock.now))
        assert sql not in set(lab.residents(lab.cluster.host["pve2"], clock.now))

    def test_there_and_back(self, lab: Lab, clock: Clock) -> None:
        sql = guest(lab, "103")
        for host in ("pve3", "pve1", "pve2"):
            commands.migrate(lab, "win-sql01", host, 10)
            clock.now += 60
            assert lab.location(sql, clock.now) == host

    def test_one_that_moves_by_a_plan_stays_where_it_was_sent(self, lab: Lab, clock: Clock) -> None:
        commands.migrate(lab, "110", "pve1", 10)
        clock.now += 10
        places = {lab.location(guest(lab, "110"), clock.now + 600 * i) for i in range(12)}
        assert places == {"pve1"}
        assert not any(lab.migrating(guest(lab, "110"), clock.now + 10 * i) for i in range(360))

    @pytest.mark.parametrize("what", [("host_down", "pve1"), ("host_down", "pve2"), ("guest_down", "103")])
    def test_what_goes_down_meanwhile_makes_it_fail(
        self, lab: Lab, clock: Clock, what: tuple[str, str]
    ) -> None:
        sql = guest(lab, "103")
        commands.migrate(lab, "103", "pve1", 30)
        clock.now += 10
        lab.break_(*what, 5, {})
        clock.now += 60
        assert (lab.location(sql, clock.now), lab.migrating(sql, clock.now)) == ("pve2", False)
        assert lab.running(sql, clock.now)

    def test_a_host_that_goes_down_takes_along_who_was_sent_there(self, lab: Lab, clock: Clock) -> None:
        commands.migrate(lab, "103", "pve1", 0)
        clock.now += 60
        assert 103 in lab.break_("host_down", "pve1", 10, {}).guests
        assert 103 not in lab.break_("host_down", "pve2", 10, {}).guests

    def test_no_counter_of_a_host_falls(self, lab: Lab, clock: Clock) -> None:
        """What a guest did stays in the counters of its old host; then it adds to those of the new one."""
        sql = guest(lab, "103")
        source, target = lab.cluster.host["pve2"], lab.cluster.host["pve1"]
        last = {host.name: lab.host_counter(host, "read", clock.now) for host in (source, target)}
        own = {}
        for step in range(30):
            if step == 10:
                commands.migrate(lab, "103", "pve1", 20)
            clock.now += 15
            for host in (source, target):
                now = lab.host_counter(host, "read", clock.now)
                assert now >= last[host.name]
                own[step, host.name] = now - last[host.name]
                last[host.name] = now
        expected = lab.area(sql, "read", clock.now - 15, clock.now)
        assert own[29, "pve1"] > expected > own[29, "pve2"]
        start, end = clock.now - 450, clock.now
        stays = sum(lab.stay_area(sql, host, "read", start, end) for host in ("pve1", "pve2"))
        assert stays == pytest.approx(lab.area(sql, "read", start, end))

    @pytest.mark.parametrize(
        ("target", "host", "text"),
        [
            ("999", "pve1", "no such guest: '999'; there are 101, 102"),
            ("103", "pve9", "can't go to 'pve9'; it is on pve2, there are pve1, pve3"),
            ("103", "pve2", "can't go to 'pve2'"),
            ("102", "pve2", "which uses local devices: hostpci0"),
            ("106", "pve1", "can't migrate running container 106"),
        ],
    )
    def test_what_cannot_be_migrated(self, lab: Lab, target: str, host: str, text: str) -> None:
        with pytest.raises(FaultError, match=text):
            commands.migrate(lab, target, host)

    def test_one_at_a_time_and_only_between_hosts_that_are_up(self, lab: Lab) -> None:
        commands.migrate(lab, "103", "pve1", 30)
        for again in (lambda: commands.migrate(lab, "103", "pve3"), lambda: commands.stop(lab, "103")):
            with pytest.raises(FaultError, match="locked"):
                again()
        lab.break_("host_down", "pve3", None, {})
        with pytest.raises(FaultError, match="pve3 is down"):
            commands.migrate(lab, "101", "pve3")
        with pytest.raises(FaultError, match="seconds is -1"):
            commands.migrate(lab, "101", "pve2", -1)

    def test_the_api_shows_it(self, live: Live) -> None:
        def tasks() -> list[Any]:
            return [t for t in live.data("/cluster/tasks") if (t["type"], t["id"]) == ("qmigrate", "105")]

        live.client.migrate("lnx-web01", "pve2", seconds=3600)
        assert (row(live, 105)["node"], row(live, 105)["lock"]) == ("pve1", "migrate")
        assert live.data("/nodes/pve1/qemu/105/config")["lock"] == "migrate"
        assert live.data("/nodes/pve1/qemu/105/agent/network-get-interfaces")["result"]
        assert [("status" in t, "endtime" in t) for t in tasks()] == [(False, False)]
        with pytest.raises(LabError, match="locked"):
            live.client.migrate("105", "pve3")
        with live.client.fault("host_down", "pve2"):
            assert tasks()[0]["status"] == "migration aborted"
        assert "lock" not in row(live, 105)
        live.client.migrate("105", "pve3", seconds=0)
        assert (row(live, 105)["node"], row(live, 105).get("lock")) == ("pve3", None)
        assert live.api("/nodes/pve1/qemu/105/config").status_code == 500
        assert "lock" not in live.data("/nodes/pve3/qemu/105/config")
        assert 105 in {g["vmid"] for g in live.data("/nodes/pve3/qemu")}
        assert {t["status"] for t in tasks()} == {"migration aborted", "OK"}
        assert row(live, 105)["uptime"] < 60
        live.client.migrate("105", "pve1", seconds=0)
        ids = [g["id"] for g in live.data("/cluster/resources?type=vm")]
        assert len(ids) == len(set(ids)) == 12


class TestPower:
    def test_stop_and_start(self, live: Live) -> None:
        live.client.stop("103")
        assert row(live, 103)["status"] == "stopped"
        assert live.scrape("10.90.1.12", 9182).status_code == 504
        with pytest.raises(LabError, match="not running"):
            live.client.stop("103")
        live.client.start("103")
        assert row(live, 103)["status"] == "running"
        assert live.data("/nodes/pve2/qemu/103/status/current")["uptime"] < 60
        assert live.scrape("10.90.1.12", 9182).status_code == 200
        with pytest.raises(LabError, match="already running"):
            live.client.start("103")

    def test_a_crashed_guest_can_be_started(self, live: Live) -> None:
        live.client.add("guest_down", "103")
        live.client.start("103")
        assert live.client.faults() == []
        assert row(live, 103)["status"] == "running"

    def test_reboot(self, live: Live) -> None:
        fault = live.client.reboot("101", seconds=600)
        entry = row(live, 101)
        assert (entry["status"], entry["hastate"]) == ("running", "started")
        path = "/nodes/pve1/qemu/101/agent/network-get-interfaces"
        assert live.api(path).reason == "QEMU guest agent is not running"
        assert live.scrape("10.90.1.10", 9182).status_code == 504
        assert ("qmreboot", "101") in {(t["type"], t["id"]) for t in live.data("/cluster/tasks")}
        live.client.clear(fault)
        assert live.api(path).status_code == 200
        assert live.data("/nodes/pve1/qemu/101/status/current")["uptime"] < 60

    def test_what_was_built_switched_off_can_be_started(self, lab: Lab, clock: Clock) -> None:
        spare, host = guest(lab, "109"), lab.cluster.host["pve3"]
        cpu, memory = lab.host_counter(host, "cpu", clock.now), lab.host_memory_used(host, clock.now)
        assert not lab.running(spare, clock.now)
        commands.start(lab, "109")
        assert lab.running(spare, clock.now)
        assert lab.boot(spare, clock.now) == clock.now
        assert lab.host_memory_used(host, clock.now) - memory == pytest.approx(spare.memory, rel=0.01)
        assert lab.host_counter(host, "cpu", clock.now) == pytest.approx(cpu)
        clock.now += 60
        own = lab.area(spare, "cpu", clock.now - 60, clock.now) * spare.vcpus
        added = lab.stay_area(spare, "pve3", "cpu", lab.epoch, clock.now) * spare.vcpus
        assert added == pytest.approx(own)
        assert lab.host_counter(host, "cpu", clock.now) > cpu + own
        commands.stop(lab, "109")
        assert not lab.running(spare, clock.now)
        clock.now += 60
        commands.start(lab, "109")
        assert lab.boot(spare, clock.now) == clock.now
        assert lab.stay_area(spare, "pve3", "cpu", lab.epoch, clock.now) == pytest.approx(own / spare.vcpus)

    def test_what_cannot_be_started(self, lab: Lab) -> None:
        with pytest.raises(FaultError, match="112 is a template"):
            commands.start(lab, "112")
        lab.break_("host_down", "pve3", None, {})
        with pytest.raises(FaultError, match="its host pve3 is down"):
            commands.start(lab, "109")

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("103/migrate", {"target": "pve1", "speed": 3}, 400),
            ("103/migrate", {"target": "pve1", "seconds": "soon"}, 400),
            ("103/stop", {"seconds": 3}, 400),
            ("103/reboot", {"seconds": 0}, 400),
            ("103/reboot", [], 400),
            ("103/explode", {}, 404),
        ],
    )
    def test_requests_that_cannot_be(self, live: Live, path: str, body: Any, status: int) -> None:
        answer = requests.post(f"{live.control}/guests/{path}", json=body, timeout=5)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
        assert live.client.faults() == []
