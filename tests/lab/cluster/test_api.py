import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from lab.cluster.api.guests import link_local
from lab.cluster.identities import DISCOVERY, EXPORTER, NO_AUDIT

from .conftest import Live

AGENT = "/nodes/pve1/qemu/101/agent"


def reason(answer: requests.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.reason, answer.text


def message(text: str) -> str:
    return json.dumps({"data": None, "message": text + "\n"}, separators=(",", ":"))


class TestTokens:
    """401 comes with an empty body; what the phrase says depends on the release."""

    def test_9_doesnt_say_why(self, live: Live) -> None:
        for token in ("discovery@pve!monitoring=wrong", "discovery@pve!x=1", "nobody@pve!x=1"):
            assert reason(live.api("/version", token)) == (401, "Authentication failed!", "")
        assert reason(live.api("/version", None)) == (401, "No ticket", "")

    def test_8_says_why(self, live8: Live) -> None:
        for token, text in (
            ("discovery@pve!monitoring=wrong", "invalid token value!"),
            ("discovery@pve!x=1", "no such token 'x' for user 'discovery@pve'"),
            ("nobody@pve!x=1", "no such user ('nobody@pve')"),
        ):
            assert reason(live8.api("/version", token)) == (401, text, "")

    def test_a_revoked_token(self, live: Live) -> None:
        with live.client.fault("token_revoked", DISCOVERY.id):
            assert live.api("/version").status_code == 401
            assert live.api("/version", EXPORTER).status_code == 200
        assert live.api("/version").status_code == 200

    def test_a_token_without_rights_sees_nothing_and_is_not_told(self, live: Live) -> None:
        kinds = {entry["type"] for entry in live.data("/cluster/resources", token=NO_AUDIT)}
        assert kinds == {"node"}
        assert live.data("/cluster/resources?type=vm", token=NO_AUDIT) == []
        assert live.data("/nodes/pve1/qemu", token=NO_AUDIT) == []
        assert live.data("/access/permissions", token=NO_AUDIT) == {}
        assert "cpu" not in live.data("/nodes", token=NO_AUDIT)[0]
        text = "Permission check failed (/, Sys.Audit)"
        assert reason(live.api("/cluster/status", NO_AUDIT)) == (403, text, message(text))

    def test_a_lost_privilege(self, live: Live) -> None:
        with live.client.fault("permission_lost", DISCOVERY.id, privilege="VM.GuestAgent.Audit"):
            text = "Permission check failed (/vms/101, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)"
            path = f"{AGENT}/network-get-interfaces"
            assert reason(live.api(path)) == (403, text, message(text))
            assert live.data("/cluster/resources?type=vm")
        with live.client.fault("permission_lost", DISCOVERY.id):
            assert live.data("/cluster/resources?type=vm") == []


class TestReleases:
    def test_the_auditor_of_9_reads_addresses_and_runs_nothing(self, live: Live) -> None:
        assert live.data("/version")["release"] == "9.2"
        assert live.data(f"{AGENT}/network-get-interfaces", token=EXPORTER)["result"]
        assert live.data("/access/permissions")["/"]["VM.GuestAgent.Audit"] == 1
        answer = live.api(f"{AGENT}/exec", method="POST")
        assert (answer.status_code, answer.reason) == (
            403,
            "Permission check failed (/vms/101, VM.GuestAgent.Unrestricted)",
        )

    def test_on_8_the_privilege_that_reads_addresses_also_runs_commands(self, live8: Live) -> None:
        assert live8.data("/version")["release"] == "8.4"
        answer = live8.api(f"{AGENT}/network-get-interfaces", EXPORTER)
        assert answer.reason == "Permission check failed (/vms/101, VM.Monitor)"
        assert live8.data(f"{AGENT}/network-get-interfaces")["result"]
        form = {"command": ["powershell.exe"]}
        assert live8.data(f"{AGENT}/exec", method="POST", form={"command": ["cmd.exe", "/c"]})["pid"] > 0
        assert live8.api(f"{AGENT}/exec", EXPORTER, method="POST", form=form).status_code == 403

    def test_what_came_with_9(self, live: Live, live8: Live) -> None:
        new, old = live.data("/cluster/resources"), live8.data("/cluster/resources")
        assert {"network"} == {e["type"] for e in new} - {e["type"] for e in old}
        assert "memhost" in new[2]
        assert all("memhost" not in entry for entry in old)
        assert "pressureiosome" in live.data("/nodes/pve1/qemu")[0]
        assert "pressureiosome" not in live8.data("/nodes/pve1/qemu")[0]


class TestErrors:
    def test_paths_parameters_and_nodes(self, live: Live) -> None:
        assert reason(live.api("/nope"))[:2] == (501, "Method 'GET /nope' not implemented")
        assert live.api("/version", method="POST").status_code == 501
        answer = live.api("/version?color=red")
        assert (answer.status_code, answer.reason) == (400, "Parameter verification failed.")
        assert set(answer.json()["errors"]) == {"color"}
        assert live.api("/cluster/resources?type=car").status_code == 400
        assert live.api("/nodes/pve9/status").reason == "no such cluster node 'pve9'"

    def test_a_guest_that_is_elsewhere(self, live: Live) -> None:
        for path, file in (
            ("/nodes/pve2/qemu/101/config", "nodes/pve2/qemu-server/101.conf"),
            ("/nodes/pve1/qemu/999/config", "nodes/pve1/qemu-server/999.conf"),
            ("/nodes/pve1/lxc/106/config", "nodes/pve1/lxc/106.conf"),
            ("/nodes/pve2/qemu/106/status/current", "nodes/pve2/qemu-server/106.conf"),
        ):
            text = f"Configuration file '{file}' does not exist"
            assert reason(live.api(path)) == (500, text, message(text))

    def test_agents_that_dont_answer(self, live: Live) -> None:
        for vmid, node, text in (
            (107, "pve1", "QEMU guest agent is not running"),
            (108, "pve2", "No QEMU guest agent configured"),
            (109, "pve3", "VM 109 is not running"),
        ):
            answer = live.api(f"/nodes/{node}/qemu/{vmid}/agent/get-osinfo")
            assert reason(answer) == (500, text, message(text))
        with live.client.fault("agent_hung", "101"):
            text = "VM 101 qga command 'guest-network-get-interfaces' failed - got timeout"
            assert live.api(f"{AGENT}/network-get-interfaces").reason == text
            assert live.data(f"{AGENT}/ping", method="POST") == {"result": {}}
        with live.client.fault("agent_dead", "101"):
            assert live.api(f"{AGENT}/ping", method="POST").reason == "QEMU guest agent is not running"


class TestMembers:
    def test_each_member_says_who_it_is(self, live: Live) -> None:
        for member in ("pve1", "pve2", "pve3"):
            local = [e["name"] for e in live.data("/cluster/status", member=member) if e.get("local")]
            assert local == [member]

    def test_a_host_that_is_down(self, live: Live) -> None:
        with live.client.fault("host_down", "pve3"):
            with pytest.raises(requests.ConnectionError):
                live.api("/version", member="pve3")
            nodes = {e["name"]: e["online"] for e in live.data("/cluster/status") if e["type"] == "node"}
            assert nodes == {"pve1": 1, "pve2": 1, "pve3": 0}
            assert reason(live.api("/nodes/pve3/status")) == (595, "No route to host", "")
            entries = {e["id"]: e for e in live.data("/cluster/resources")}
            assert entries["node/pve3"]["status"] == "offline"
            assert "cpu" not in entries["node/pve3"]
            assert entries["storage/pve3/local"]["status"] == "unknown"
            # The other members keep what they heard last for a while.
            assert entries["qemu/111"]["status"] == "running"
            assert entries["qemu/111"]["name"] == "win-ml01"
        assert live.data("/nodes/pve3/status")["uptime"] < 60

    def test_an_api_that_is_down_or_slow(self, live: Live) -> None:
        with live.client.fault("api_down", "pve2"):
            with pytest.raises(requests.ConnectionError):
                live.api("/version", member="pve2")
            assert reason(live.api("/nodes/pve2/version")) == (595, "Connection refused", "")
        with live.client.fault("api_down", "all"), pytest.raises(requests.ConnectionError):
            live.api("/version")
        with live.client.fault("api_slow", "pve1", delay_seconds=0.2):
            before = time.monotonic()
            live.data("/version")
            assert time.monotonic() - before >= 0.2


class TestGuests:
    def test_addresses_as_agents_report_them(self, live: Live) -> None:
        def cards(node: str, vmid: int) -> list[Any]:
            found: list[Any] = live.data(f"/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces")["result"]
            return found

        def addresses(card: Any) -> list[str]:
            return [address["ip-address"] for address in card.get("ip-addresses", ())]

        assert addresses(cards("pve1", 101)[0]) == ["fe80::be24:11ff:fe00:6500%12", "10.90.1.10"]
        first, second, _, last = cards("pve2", 104)
        assert addresses(first)[1:] == ["169.254.77.12"]
        assert addresses(second) == ["10.90.1.13"]
        assert addresses(last) == []
        docker = cards("pve1", 105)
        assert [c["name"] for c in docker] == ["docker0", "veth0a1b2c3", "lo", "ens18"]
        loopback = cards("pve1", 101)[1]
        assert loopback["name"] == "Loopback Pseudo-Interface 1"
        assert "hardware-address" not in loopback

    def test_macs_of_the_configuration_are_those_of_the_agent(self, live: Live) -> None:
        config = live.data("/nodes/pve1/qemu/105/config")
        result = live.data("/nodes/pve1/qemu/105/agent/network-get-interfaces")["result"]
        macs = {card.get("hardware-address") for card in result}
        assert config["net0"].split(",")[0].removeprefix("virtio=").lower() in macs
        assert live.data("/nodes/pve2/lxc/106/config")["net0"].count("BC:24:11:") == 1

    def test_configurations_hold_traps_for_readers_of_disks(self, live: Live) -> None:
        config = live.data("/nodes/pve2/qemu/103/config")
        assert config["memory"] == "65536"
        assert config["boot"].startswith("order=scsi0")
        assert "media=cdrom" in config["ide2"]
        assert {"scsi0", "scsi1", "efidisk0", "tpmstate0"} <= set(config)
        assert "status" not in config
        assert live.data("/nodes/pve3/qemu/111/config")["hostpci0"] == "0000:c1:00,pcie=1"

    def test_the_same_numbers_everywhere(self, live: Live) -> None:
        listed = {g["vmid"]: g for g in live.data("/cluster/resources?type=vm")}
        status = live.data("/nodes/pve2/qemu/103/status/current")
        assert status["maxmem"] == listed[103]["maxmem"]
        assert status["netin"] >= listed[103]["netin"] > 0
        assert status["ha"] == {"managed": 1, "state": "started"}
        assert live.data("/nodes/pve2/lxc/106/status/current")["disk"] > 0
        assert listed[109]["status"] == "stopped"
        assert listed[112]["template"] == 1

    def test_a_stop_leaves_a_task_and_a_crash_none(self, live: Live) -> None:
        def stops() -> list[str]:
            return [t["id"] for t in live.data("/cluster/tasks") if t["type"] == "qmshutdown"]

        before = len(stops())
        with live.client.fault("guest_down", "102"):
            listed = {g["vmid"]: g for g in live.data("/cluster/resources?type=vm")}
            assert (listed[102]["status"], listed[102]["hastate"]) == ("stopped", "started")
            assert len(stops()) == before
        with live.client.fault("guest_stopped", "102"):
            listed = {g["vmid"]: g for g in live.data("/cluster/resources?type=vm")}
            assert (listed[102]["status"], listed[102]["hastate"]) == ("stopped", "stopped")
            assert len(stops()) == before + 1

    def test_link_local_follows_from_the_mac(self) -> None:
        assert link_local("bc:24:11:aa:bb:cc") == "fe80::be24:11ff:feaa:bbcc"


def test_an_offline_hosts_guests_lose_their_names_in_the_end(start_lab: Callable[..., Live]) -> None:
    live = start_lab(broadcast_expire=0.0)
    with live.client.fault("host_down", "pve3"):
        listed = {g["vmid"]: g for g in live.data("/cluster/resources?type=vm")}
        assert listed[111] == {
            "id": "qemu/111", "vmid": 111, "node": "pve3", "type": "qemu", "status": "unknown",
            "tags": "gpu;ml;prod;windows", "pool": "windows",
        }  # fmt: skip
        text = "old timestamp - dead?"
        assert any(text in e["status"] for e in live.data("/cluster/ha/status/current"))


def test_calls_are_counted_by_member_template_and_status(live: Live) -> None:
    live.client.clear_calls()
    live.api("/nodes/pve1/qemu/101/config")
    live.api("/nodes/pve1/qemu/102/config")
    live.api("/cluster/status", NO_AUDIT, member="pve2")
    counted = {(c["member"], c["path"], c["status"]): c["count"] for c in live.client.calls()}
    assert counted == {
        ("pve1", "/nodes/{node}/qemu/{vmid}/config", 200): 2,
        ("pve2", "/cluster/status", 403): 1,
    }


class TestWhatTheClusterThinksOfItself:
    def test_hosts_that_nobody_sees_run_on_and_cost_the_quorum(self, live: Live) -> None:
        def seen() -> tuple[int, list[int]]:
            head, *nodes = live.data("/cluster/status")
            return head["quorate"], [node["online"] for node in nodes]

        with live.client.fault("corosync_down", "pve3"):
            assert seen() == (1, [1, 1, 0])
            node = next(n for n in live.data("/cluster/resources?type=node") if n["node"] == "pve3")
            assert (node["status"], node["hastate"]) == ("offline", "unknown")
            assert live.scrape("10.90.0.13", 9100).status_code == 200
            with live.client.fault("corosync_down", "pve2"):
                assert seen() == (0, [1, 0, 0])
        assert seen() == (1, [1, 1, 1])

    def test_ha_gives_up_on_a_guest_that_runs(self, live: Live) -> None:
        with live.client.fault("ha_error", "102"):
            (guest,) = [g for g in live.data("/cluster/resources?type=vm") if g["vmid"] == 102]
            assert (guest["status"], guest["hastate"]) == ("running", "error")
            states = {e["sid"]: e["crm_state"] for e in live.data("/cluster/ha/status/current") if "sid" in e}
            assert (states["vm:102"], states["vm:101"]) == ("error", "started")

    def test_what_ha_says_of_a_guest_doesnt_end_with_its_host(self, live: Live) -> None:
        with live.client.fault("host_down", "pve2"), live.client.fault("ha_error", "103"):
            (guest,) = [g for g in live.data("/cluster/resources?type=vm") if g["vmid"] == 103]
            assert guest["hastate"] == "error"

    def test_a_storage_that_one_host_cant_reach(self, live: Live) -> None:
        with live.client.fault("storage_offline", "pve1"):
            stores = live.data("/cluster/resources?type=storage")
            assert [s["id"] for s in stores if s["status"] == "unknown"] == ["storage/pve1/nfs-backup"]

    def test_a_subscription_that_ends(self, live: Live) -> None:
        assert live.data("/nodes/pve1/subscription")["status"] == "notfound"
        with live.client.fault("subscription_ends", "pve1", days=3):
            found = live.data("/nodes/pve1/subscription")
            assert found["status"] == "active"
            assert time.strptime(found["nextduedate"], "%Y-%m-%d")
