"""The PCI devices of a host, with the ids and names of pci.ids."""

from typing import NamedTuple

from .model import Cluster, Host

AMD, INTEL, SAMSUNG = "Advanced Micro Devices, Inc. [AMD]", "Intel Corporation", "Samsung Electronics Co Ltd"


class Device(NamedTuple):
    """A device: address, class, and vendor, device and subsystem (vendor and device) with their names."""

    address: str
    kind: str
    vendor: str
    device: str
    subsystem: tuple[str, str]
    vendor_name: str
    device_name: str


X710 = ("0x8086", "0x1572", ("0x8086", "0x0007"), INTEL, "Ethernet Controller X710 for 10GbE SFP+")
NVME = ("0x144d", "0xa80a", ("0x144d", "0xa813"), SAMSUNG, "NVMe SSD Controller PM9A1/PM9A3/980PRO")
# pci.ids; the exporter of an L40S gives the same vendor, device and subsystem and class 3, subclass 2.
L40S = ("0x030200", "0x10de", "0x26b9", ("0x10de", "0x1851"), "NVIDIA Corporation", "AD102GL [L40S]")
# What every host has. The display of its management controller is none that an NVIDIA driver would hold.
COMMON = (
    Device("0000:00:00.0", "0x060000", "0x1022", "0x1480", ("0x1022", "0x1480"), AMD,
           "Starship/Matisse Root Complex"),
    Device("0000:00:14.0", "0x0c0500", "0x1022", "0x790b", ("0x15d9", "0x1b95"), AMD, "FCH SMBus Controller"),
    Device("0000:01:00.0", "0x020000", *X710),
    Device("0000:01:00.1", "0x020000", *X710),
    Device("0000:02:00.0", "0x030000", "0x1a03", "0x2000", ("0x15d9", "0x1b95"), "ASPEED Technology, Inc.",
           "ASPEED Graphics Family"),
    Device("0000:03:00.0", "0x010802", *NVME),
    Device("0000:04:00.0", "0x010802", *NVME),
    Device("0000:05:00.0", "0x010601", "0x1022", "0x7901", ("0x15d9", "0x1b95"), AMD,
           "FCH SATA Controller [AHCI mode]"),
)  # fmt: skip


def devices(cluster: Cluster, host: Host) -> tuple[Device, ...]:
    """All devices in ``host`` by address: its own GPUs, and those that its guests have or would have."""
    gpus = [*host.gpus, *(gpu for guest in cluster.guests if guest.home == host.name for gpu in guest.gpus)]
    return tuple(sorted(COMMON + tuple(Device(gpu.address, *L40S) for gpu in gpus)))
