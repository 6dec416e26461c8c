"""Strategies for what a Proxmox VE API may answer: anything at all, and nearly the right thing.

Junk alone never gets past the first check of a parser; rows that are right but for a field or two do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Json = st.SearchStrategy[Any]
Row = st.SearchStrategy[dict[str, Any]]


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def some(*values: Any) -> Json:
    return st.sampled_from(values)


NODES = ("pve1", "pve2", "pve3")
MACS = tuple(f"BC:24:11:00:00:0{digit}" for digit in range(1, 5))
BRIDGE_MAC = "02:42:00:00:00:01"

# --- anything

_FIELDS = words("""
    type vmid node status name template tags pool lock uptime maxcpu maxmem maxdisk storage plugintype ip
    local quorate result error class desc hardware-address hwaddr ip-addresses ip-address inet inet6 id vendor
    map version release agent ostype boot bootdisk digest rootfs scsi0 ide2 net0 net1 ipconfig0 hostpci0 /
    /vms VM.Audit
""")
_VALUES = words("""
    qemu lxc node cluster storage running stopped unknown online 1 0 mswindows win11 l26 0x10de 0x030200
    0000:41:00.0 order=scsi0;net0 a=b,c none,media=cdrom lvm:vm-1,size=1G virtio=BC:24:11:00:00:01 ip=dhcp
    path=1;2,node=pve1 1e400 \N{ARABIC-INDIC DIGIT THREE}
""")
_ODD = ("", "\ud800", "\x00", "\u2028", "pve1\n", "<b>&amp;", "'><script>", "9" * 5000, "x" * 5000)
_HUGE = (10**18, 2**63, 10**400, -(10**400))

ANY_TEXT = st.one_of(st.text(st.characters(), max_size=12), some(*_VALUES), some(*_ODD))
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), some(*_HUGE), st.floats(), ANY_TEXT)
JSON: Json = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(some(*_FIELDS) | ANY_TEXT, inner, max_size=6),
    max_leaves=12,
)

# --- the right thing, as a cluster of three nodes answers

RIGHT_RESOURCES: list[Any] = [
    {"id": "/pool/shop", "pool": "shop", "type": "pool"},
    {
        "id": "qemu/101",
        "vmid": 101,
        "node": "pve1",
        "type": "qemu",
        "status": "running",
        "name": "web",
        "template": 0,
        "uptime": 86400,
        "maxcpu": 4,
        "maxmem": 2**33,
        "maxdisk": 2**35,
        "tags": "a;b",
        "pool": "shop",
        "lock": "backup",
    },
    {
        "id": "lxc/102",
        "vmid": "102",
        "node": "pve2",
        "type": "lxc",
        "status": "stopped",
        "maxdisk": "8589934592",
    },
    {"id": "node/pve1", "node": "pve1", "type": "node", "status": "online", "uptime": 864000},
    {"id": "storage/pve1/lvm", "storage": "lvm", "node": "pve1", "type": "storage", "plugintype": "lvmthin"},
]
RIGHT_STATUS: list[Any] = [
    {"type": "cluster", "id": "cluster", "name": "lab", "nodes": 3, "quorate": 1, "version": 5},
    *(
        {
            "type": "node",
            "name": f"pve{n}",
            "nodeid": n,
            "ip": f"192.0.2.1{n}",
            "local": int(n == 1),
            "online": 1,
        }
        for n in (1, 2, 3)
    ),
]
RIGHT_TASKS: list[Any] = [
    {"upid": "UPID:x", "type": "qmstop", "id": "101", "node": "pve1", "starttime": 1763812345, "status": "OK"}
]
RIGHT_PERMISSIONS: dict[str, Any] = {"/": {"VM.Audit": 1, "Sys.Audit": 1}, "/vms/101": {"VM.Audit": 0}}
RIGHT_VERSION: dict[str, Any] = {"release": "9.2", "version": "9.2.11", "repoid": "1234"}
RIGHT_CONFIG: dict[str, Any] = {
    "agent": "enabled=1",
    "boot": "order=ide2;scsi0;net0",
    "digest": "8c0c2a5f",
    "ostype": "win11",
    "ide2": "none,media=cdrom",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
    "scsi0": "lvm:vm-101-disk-0",
    "ipconfig0": "ip=192.0.2.5/24,ip6=2001:db8::5/64",
    "hostpci0": "0000:41:00,x-vga=1",
    "rootfs": "lvm:vm-1",
}
RIGHT_INTERFACES: list[Any] = [
    {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}]},
    {
        "name": "eth0",
        "hardware-address": "bc:24:11:00:00:01",
        "ip-addresses": [{"ip-address": "192.0.2.101", "ip-address-type": "ipv4", "prefix": 24}],
    },
    {"name": "eth1", "hwaddr": "bc:24:11:00:00:02", "inet": "192.0.2.102/24", "inet6": "fe80::1/64"},
]
RIGHT_OS: dict[str, Any] = {"result": {"id": "mswindows", "name": "Microsoft Windows", "version-id": "2022"}}
REFUSAL: dict[str, Any] = {"result": {"error": {"class": "CommandNotFound", "desc": "unknown command"}}}
RIGHT_PCI: list[Any] = [{"id": "0000:41:00.0", "vendor": "0x10de", "class": "0x030200"}]
RIGHT_MAPPINGS: list[Any] = [{"id": "gpu-1", "map": ["path=0000:41:00.0,node=pve1", "path=41:00;42:00"]}]

_SPOILS: tuple[Any, ...] = (
    *(None, True, -1, 0, 7, 1.5, float("nan"), float("inf"), 10**400, "", "x", "7", "\ud800", "pve1\n"),
    *("\N{ARABIC-INDIC DIGIT THREE}", "1e400", "169.254.1.1", [], [None], [7], ["\ud800"], {}, {"": None}),
    {"\ud800": "\ud800"},
)


def spoiled(value: Any) -> Iterator[Any]:
    """Yield the value again and again, each time with another part missing, misnamed or replaced by junk."""
    yield from _SPOILS
    if isinstance(value, dict):
        for key in value:
            yield {name: part for name, part in value.items() if name != key}
            for other in (f"{key}\n", f"{key[:-1]}\N{ARABIC-INDIC DIGIT THREE}"):
                yield {other if name == key else name: part for name, part in value.items()}
            yield from (value | {key: part} for part in spoiled(value[key]))
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in spoiled(part))


# --- nearly the right thing


@st.composite
def mostly(draw: st.DrawFn, right: Json, otherwise: Json = JSON) -> Any:
    """Draw something else one time in eight."""
    return draw(otherwise if draw(st.integers(0, 7)) == 7 else right)


@st.composite
def nearly(draw: st.DrawFn, right: Row) -> dict[str, Any]:
    """Draw a row; one time in four one or two of its fields hold anything else, or are missing."""
    row = dict(draw(right))
    if row and draw(st.integers(0, 3)) == 3:
        for key in draw(st.sets(st.sampled_from(sorted(row)), min_size=1, max_size=2)):
            row[key] = draw(JSON)
            if draw(st.booleans()):
                del row[key]
    return row


def record(always: dict[str, Json], **perhaps: Json) -> Row:
    """Draw the fields of `always` and some of `perhaps`; underscores stand for hyphens."""
    optional = {key.replace("_", "-"): value for key, value in perhaps.items()}
    return nearly(st.fixed_dictionaries(always, optional=optional))


def several(row: Json, size: int) -> Json:
    """Draw a list, with anything in place of a row now and then."""
    return mostly(st.lists(mostly(row), min_size=1, max_size=size))


ODD_NUMBERS = some("1e400", "nan", "-7", "1_0", "9" * 5000, 1e308, *_HUGE) | st.floats()
SIZES = mostly(st.integers(0, 2**45) | st.integers(0, 2**45).map(str), ODD_NUMBERS)
_TAGS = words("web DB a b mon-off mon-gpu mon-linux mon-windows mon-port-9999 mon-port-70000")
TAGS = st.lists(some(*_TAGS), max_size=4).map(";".join)
USUAL_ADDRESSES = words("""
    10.0.0.1 10.0.0.2 172.17.0.1 192.168.0.1 100.64.0.1 192.0.2.1 198.51.100.7 fd00::1 2001:db8::1 2001:db8::2
""")
ODD_ADDRESSES = words("""
    127.0.0.1 127.0.1.1 169.254.7.7 0.0.0.0 0.1.2.3 224.0.0.1 255.255.255.255 240.0.0.1 192.0.2.010 1.2.3 ::
    ::1 ::192.0.2.1 ::ffff:192.0.2.1 ::ffff:127.0.0.1 fe80::1%12 fe80::be24:11ff:fe00:1 fec0::1 ff02::1
    64:ff9b::1 [fd00::1] pve1
""")
_WITH_REST = st.builds(
    "{}{}".format, some(*USUAL_ADDRESSES), some("/24", "/128", "%eth0", "%12/64", "/x", " ")
)
ADDRESSES: st.SearchStrategy[str] = mostly(
    some(*USUAL_ADDRESSES) | _WITH_REST, some(*ODD_ADDRESSES, "") | st.ip_addresses().map(str)
)
MAC_SPELLINGS = st.builds(
    lambda mac, spell: spell(mac),
    some(*MACS, BRIDGE_MAC, "00:00:00:00:00:00"),
    some(str.upper, str.lower, str.title, lambda mac: mac.replace(":", "-")),
)

GUESTS = record(
    {
        "type": some("qemu", "lxc"),
        "vmid": st.integers(100, 130),
        "node": some(*NODES),
        "status": some("running", "running", "running", "paused", "stopped", "unknown"),
    },
    name=ANY_TEXT,
    template=some(0, 0, "", "1"),
    tags=TAGS,
    pool=some("shop", ""),
    lock=some("backup", "migrate"),
    uptime=SIZES,
    maxcpu=SIZES | st.floats(0, 512),
    maxmem=SIZES,
    maxdisk=SIZES,
)
_NODE_STATES = some("online", "online", "offline")
_NODES = record({"type": st.just("node"), "node": some(*NODES)}, status=_NODE_STATES, uptime=SIZES)
_STORAGES = record(
    {"type": st.just("storage"), "storage": some("lvm", "ceph")}, plugintype=some("lvmthin", "rbd")
)
# Two guests that run, not in the order of their identities, are there as a rule.
_USUAL_GUESTS = [
    {"type": "qemu", "vmid": vmid, "node": "pve1", "status": "running", "name": f"vm{vmid}"}
    for vmid in (202, 201)
]
RESOURCES = several(st.one_of(GUESTS, GUESTS, _NODES, _STORAGES), 7).map(
    lambda rows: [*_USUAL_GUESTS, *rows] if isinstance(rows, list) else rows
)
_MEMBERS = record({"type": st.just("node"), "name": some(*NODES), "ip": ADDRESSES}, local=some(0, 1))
_CLUSTERS = record({"type": st.just("cluster")}, name=ANY_TEXT, quorate=some(0, 1))
STATUS = st.just(RIGHT_STATUS) | several(_MEMBERS | _CLUSTERS, 5)

_DISKS = some(
    "lvm:vm-1-disk-0,size=1G", "ceph:vm-1", "none,media=cdrom", "lvm:vm-1-cloudinit", "/dev/sda", ""
)
_NICS = st.builds(
    "{}={},bridge=vmbr0,ip={}".format, some("virtio", "hwaddr", "e1000"), MAC_SPELLINGS, ADDRESSES
)
_NUMBERED = st.from_regex(re.compile(r"\A(?:scsi|virtio|sata|ide|net|ipconfig|hostpci)\d{1,3}\s?\Z"))
_USUAL_CONFIGS = record(
    {"ostype": some("l26", "win11", "w2k8", "other", "debian"), "net0": _NICS},
    agent=some("1", 1, "enabled=1,type=isa", "0"),
    boot=some("order=ide2;scsi0;net0", "order=scsi1", "cdn", "order="),
    bootdisk=some("virtio0", "scsi0"),
    rootfs=_DISKS,
    scsi0=_DISKS,
    net1=_NICS,
    ipconfig0=st.builds("ip={},gw=192.0.2.1,ip6={}".format, ADDRESSES, ADDRESSES),
    hostpci0=some("0000:41:00,x-vga=1", "mapping=gpu-1", "41:00.0;42:00.0", "host=0000:41:00.0"),
)
CONFIGS: Row = st.builds(
    dict.__or__,
    _USUAL_CONFIGS,
    st.dictionaries(_NUMBERED, mostly(_DISKS | _NICS), max_size=2),
)

_ENTRIES = record({"ip-address": ADDRESSES}, prefix=SIZES)
_FACES = record(
    {"hardware-address": MAC_SPELLINGS, "ip-addresses": several(_ENTRIES, 3)},
    name=some("lo", "eth0", "Ethernet 2", "docker0", "weave", "Loopback Pseudo-Interface 1"),
    hwaddr=MAC_SPELLINGS,
    inet=ADDRESSES,
    inet6=ADDRESSES,
)
INTERFACES = several(_FACES, 4)
AGENT_INTERFACES = mostly(st.builds(dict, result=mostly(INTERFACES, st.builds(dict, error=JSON))))
AGENT_OS = mostly(st.builds(dict, result=mostly(record({"id": ANY_TEXT}, name=ANY_TEXT))))

_DEVICES = record({"id": st.just("0000:41:00.0"), "vendor": st.just("0x10de"), "class": some("0x030200")})
PCI = several(_DEVICES, 3)
_PATHS = several(some("path=0000:41:00,node=pve1", "id=10de:2321", "path=41:00;42:00"), 3)
MAPPINGS = several(record({"id": st.just("gpu-1"), "map": _PATHS}), 2)
