import pytest

from lab.cluster.build import build
from lab.cluster.identities import DISCOVERY, NO_AUDIT, PROVISIONER
from lab.cluster.pci import devices
from lab.cluster.settings import Settings

from .conftest import Live

NVIDIA = "0x10de"


def gpus(live: Live, node: str) -> list[str]:
    listed = live.data(f"/nodes/{node}/hardware/pci")
    return [d["id"] for d in listed if d["vendor"] == NVIDIA and d["class"].startswith("0x03")]


class TestDevices:
    def test_gpus_are_listed_where_they_sit_whoever_has_them(self, live: Live) -> None:
        assert gpus(live, "pve1") == ["0000:c1:00.0"]
        assert gpus(live, "pve2") == []
        assert gpus(live, "pve3") == ["0000:41:00.0", "0000:81:00.0", "0000:c1:00.0"]

    def test_a_device_has_the_names_of_pci_ids(self, live: Live) -> None:
        listed = {d["id"]: d for d in live.data("/nodes/pve3/hardware/pci")}
        assert listed["0000:41:00.0"] == {
            "id": "0000:41:00.0", "class": "0x030200", "vendor": "0x10de", "device": "0x26b9",
            "iommugroup": 20, "vendor_name": "NVIDIA Corporation", "device_name": "AD102GL [L40S]",
            "subsystem_vendor": "0x10de", "subsystem_device": "0x1851",
            "subsystem_vendor_name": "NVIDIA Corporation",
        }  # fmt: skip
        display = next(d for d in listed.values() if d["class"] == "0x030000")
        assert display["vendor_name"].startswith("ASPEED")
        assert list(listed) == sorted(listed)

    def test_bridges_memory_and_processors_are_left_out_unless_asked_for(self, live: Live) -> None:
        path = "/nodes/pve1/hardware/pci"
        kinds = [d["class"][:4] for d in live.data(path)]
        assert "0x06" not in kinds
        assert "0x06" in [d["class"][:4] for d in live.data(f"{path}?pci-class-blacklist=")]
        assert {d["class"][:4] for d in live.data(f"{path}?pci-class-blacklist=01,02;0c 06")} == {"0x03"}

    def test_without_names(self, live: Live) -> None:
        for device in live.data("/nodes/pve1/hardware/pci?verbose=0"):
            assert set(device) == {"id", "class", "vendor", "device", "iommugroup"}

    def test_every_host_has_addresses_of_its_own(self) -> None:
        cluster = build(Settings(hosts=50, guests=5000))
        for host in cluster.hosts:
            addresses = [device.address for device in devices(cluster, host)]
            assert len(set(addresses)) == len(addresses)


class TestMappings:
    def test_a_mapping_names_a_device_on_each_of_its_hosts(self, live: Live) -> None:
        found = {m["id"]: m for m in live.data("/cluster/mapping/pci")}
        assert set(found) == {"l40s", "uplink"}
        assert found["l40s"]["map"] == [
            "id=10de:26b9,iommugroup=20,node=pve1,path=0000:c1:00.0,subsystem-id=10de:1851",
            "id=10de:26b9,iommugroup=22,node=pve3,path=0000:c1:00,subsystem-id=10de:1851",
        ]
        assert "checks" not in found["l40s"]

    def test_one_by_its_name(self, live: Live) -> None:
        (listed,) = [m for m in live.data("/cluster/mapping/pci") if m.pop("id") == "l40s"]
        assert live.data("/cluster/mapping/pci/l40s") == listed
        assert live.api("/cluster/mapping/pci/a100").reason == "mapping 'a100' not found"

    def test_checks_are_made_on_the_node_that_is_named(self, live: Live) -> None:
        checks = {m["id"]: m["checks"] for m in live.data("/cluster/mapping/pci?check-node=pve2")}
        assert checks["uplink"] == []
        assert checks["l40s"] == [{"severity": "warning", "message": "No mapping for node pve2."}]
        assert live.api("/cluster/mapping/pci?check-node=pve9").reason == "no such cluster node 'pve9'"
        with live.client.fault("host_down", "pve3"):
            assert live.api("/cluster/mapping/pci?check-node=pve3").status_code == 595
            assert live.data("/cluster/mapping/pci")


class TestPrivileges:
    """Devices are refused without Sys.Audit; mappings that one may not see are left out without a word."""

    @pytest.mark.parametrize("release", [8, 9])
    def test_the_auditor_sees_both(self, live: Live, live8: Live, release: int) -> None:
        lab = live if release == 9 else live8
        assert gpus(lab, "pve3")
        assert lab.data("/cluster/mapping/pci")

    def test_a_token_without_rights(self, live: Live) -> None:
        answer = live.api("/nodes/pve1/hardware/pci", NO_AUDIT)
        assert (answer.status_code, answer.reason) == (
            403,
            "Permission check failed (/, Sys.Audit|Sys.Modify)",
        )
        assert live.data("/cluster/mapping/pci", token=NO_AUDIT) == []
        answer = live.api("/cluster/mapping/pci/l40s", NO_AUDIT)
        assert (answer.status_code, answer.reason) == (403, "Permission check failed")

    def test_one_without_the_other(self, live: Live) -> None:
        assert live.data("/nodes/pve1/hardware/pci", token=PROVISIONER)
        assert live.data("/cluster/mapping/pci", token=PROVISIONER) == []
        with live.client.fault("permission_lost", DISCOVERY.id, privilege="Sys.Audit"):
            assert live.api("/nodes/pve1/hardware/pci").status_code == 403
            assert live.data("/cluster/mapping/pci")


class TestPassthrough:
    def test_by_address_and_by_the_name_of_a_mapping(self, live: Live) -> None:
        assert live.data("/nodes/pve3/qemu/111/config")["hostpci0"] == "0000:c1:00,pcie=1"
        assert live.data("/nodes/pve1/qemu/102/config")["hostpci0"] == "mapping=l40s,pcie=1"

    def test_whoever_has_a_gpu_answers_for_it(self, live: Live) -> None:
        """pve1 has none left, pve3 two of three; a guest shows the one that it was given."""
        shown = {}
        for address in ("10.90.0.11", "10.90.0.12", "10.90.0.13", "10.90.1.11", "10.90.1.20"):
            answer = live.scrape(address, 9835)
            shown[address] = answer.text.count("\nnvidia_smi_gpu_info{") if answer.ok else 0
        assert shown == {"10.90.0.11": 0, "10.90.0.12": 0, "10.90.0.13": 2, "10.90.1.11": 1, "10.90.1.20": 1}
