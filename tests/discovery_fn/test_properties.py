"""What holds for every answer of the API, every inventory and every moment, whatever the examples are."""

from __future__ import annotations

import html.parser
import ipaddress
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr, TypeAdapter

from discovery_fn import privileges, schedule, wire
from discovery_fn.addresses import Network, choose, choose_static, host_port, reachable
from discovery_fn.filters import os_override, parse_rules, port_override, watched
from discovery_fn.inventory import Surroundings, conflicts, free_gpus, merge, node_views, view
from discovery_fn.metrics import Status, StatusCollector
from discovery_fn.model import (
    EndpointView,
    Facts,
    Guest,
    GuestConfig,
    Interface,
    Inventory,
    Nic,
    Node,
    PciPass,
    Reason,
)
from discovery_fn.page import page
from discovery_fn.settings import Settings
from discovery_fn.state import State, StateFile, rebased
from discovery_fn.targets import Body, Name, Renderer
from tests.support import hypothesis_profile
from tests.support.pve_answers import (
    ADDRESSES,
    AGENT_INTERFACES,
    AGENT_OS,
    ANY_TEXT,
    BRIDGE_MAC,
    CONFIGS,
    GUESTS,
    INTERFACES,
    JSON,
    MAC_SPELLINGS,
    MACS,
    MAPPINGS,
    NODES,
    ODD_ADDRESSES,
    ODD_NUMBERS,
    PCI,
    REFUSAL,
    RESOURCES,
    RIGHT_CONFIG,
    RIGHT_INTERFACES,
    RIGHT_MAPPINGS,
    RIGHT_OS,
    RIGHT_PCI,
    RIGHT_PERMISSIONS,
    RIGHT_RESOURCES,
    RIGHT_STATUS,
    RIGHT_TASKS,
    RIGHT_VERSION,
    STATUS,
    TAGS,
    mostly,
    some,
    spoiled,
)

hypothesis_profile.load()

# --- reading


def read_config(value: Any) -> tuple[GuestConfig, GuestConfig]:
    return wire.config("qemu", value), wire.config("lxc", value)


@dataclass(frozen=True)
class Reader:
    """A function that reads answers: what it may be given, and what it is given as a rule."""

    read: Callable[[Any], Any]
    answers: st.SearchStrategy[Any]
    right: Any


READERS = (
    Reader(wire.text, JSON | ANY_TEXT, "x"),
    Reader(wire.number, JSON | ODD_NUMBERS, "7"),
    Reader(wire.flag, JSON, 1),
    Reader(wire.tags, JSON | TAGS, "a;b"),
    Reader(wire.resources, RESOURCES, RIGHT_RESOURCES),
    Reader(wire.cluster_status, STATUS, RIGHT_STATUS),
    Reader(wire.tasks, JSON, RIGHT_TASKS),
    Reader(wire.permissions, JSON, RIGHT_PERMISSIONS),
    Reader(wire.release, JSON, RIGHT_VERSION),
    Reader(read_config, CONFIGS | JSON, RIGHT_CONFIG),
    Reader(wire.container_interfaces, INTERFACES, RIGHT_INTERFACES),
    Reader(wire.agent_interfaces, AGENT_INTERFACES, {"result": RIGHT_INTERFACES}),
    Reader(wire.agent_interfaces, AGENT_INTERFACES, REFUSAL),
    Reader(wire.agent_os, AGENT_OS, RIGHT_OS),
    Reader(wire.nvidia_gpus, PCI, RIGHT_PCI),
    Reader(wire.pci_mappings, MAPPINGS, RIGHT_MAPPINGS),
)
every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.read.__name__)
adapter_of = cache(TypeAdapter[Any])


def check_reading(reader: Reader, answer: Any) -> None:
    """Read an answer; what comes of it has the declared type and can be written as JSON."""
    try:
        value, kind = reader.read(answer), get_type_hints(reader.read)["return"]
    except wire.AgentRefused as refused:
        assert reader.read in {wire.agent_interfaces, wire.agent_os}
        value, kind = str(refused), str
    adapter = adapter_of(kind)
    assert adapter.validate_json(adapter.dump_json(value, warnings="error"), strict=True) == value


@every_reader
@given(data=st.data())
def test_any_answer_can_be_read(reader: Reader, data: st.DataObject) -> None:
    check_reading(reader, data.draw(reader.answers))


@every_reader
def test_any_part_of_an_answer_may_be_spoiled(reader: Reader) -> None:
    for answer in spoiled(reader.right):
        check_reading(reader, answer)


@given(CONFIGS)
def test_a_configuration_has_each_card_once_and_a_disk_of_a_known_bus(answer: Any) -> None:
    for found in read_config(answer):
        assert [nic.index for nic in found.nics] == sorted({nic.index for nic in found.nics})
        assert found.bus in {"", "rootfs", "scsi", "virtio", "sata", "ide"}


@given(JSON | ODD_NUMBERS)
def test_numbers_are_finite_and_not_negative(value: Any) -> None:
    assert 0 <= wire.number(value) < math.inf


@given(JSON | TAGS)
def test_tags_are_sorted_and_can_be_told_apart(value: Any) -> None:
    found = wire.tags(value)
    assert list(found) == sorted(set(found))
    assert wire.tags(";".join(found)) == found
    assert all(tag and not set(tag) & set(";, \t\n") for tag in found)


@given(JSON | CONFIGS.map(lambda config: config.get("net0")))
def test_properties_are_text_without_separators(value: Any) -> None:
    found = wire.properties(value, "default")
    assert all("," not in key + text for key, text in found.items())


def test_identities_can_stand_in_a_path() -> None:
    for answer in spoiled(RIGHT_RESOURCES):
        found = wire.resources(answer)
        assert all(0 < guest.vmid < 10**9 for guest in found.guests.values())
        nodes = {*found.nodes, *(guest.node for guest in found.guests.values())}
        assert all(re.fullmatch(r"[a-z0-9]+", node) for node in nodes)


@given(
    st.dictionaries(
        some("/", "/vms", "/vms/101", "/pool", "/pool/shop", "/nodes"),
        st.dictionaries(some("VM.Audit", "Sys.Audit"), st.booleans(), max_size=2),
    )
)
def test_whoever_sees_guests_has_the_privilege_somewhere(permissions: dict[str, dict[str, bool]]) -> None:
    guest = Guest(101, "qemu", "pve1", "running", "web", pool="shop")
    anywhere = privileges.anywhere(permissions, privileges.VM_AUDIT)
    assert anywhere or not privileges.sees(permissions, guest)
    assert privileges.missing(permissions, 9)["VM.Audit"] is not anywhere


# --- from answers to targets


@dataclass(frozen=True)
class Answers:
    """Everything that a cluster says; guests share configurations and interfaces by turns."""

    resources: Any
    status: Any
    configs: list[Any]
    faces: list[Any]
    pci: Any
    mappings: Any
    prefer: tuple[Network, ...]


ANSWERS = st.builds(
    Answers,
    resources=RESOURCES,
    status=STATUS,
    configs=st.lists(CONFIGS, min_size=1, max_size=3),
    faces=st.lists(INTERFACES, min_size=1, max_size=3),
    pci=PCI,
    mappings=MAPPINGS,
    prefer=some((), (ipaddress.ip_network("10.0.0.0/8"),), (ipaddress.ip_network("fd00::/8"),)),
)


def service_settings(prefer: Sequence[Network] = ()) -> Settings:
    return Settings(
        pve_endpoints=("https://pve1.example.com:8006",),
        pve_token_id="prometheus@pve!discovery",
        pve_token_secret=SecretStr("secret"),
        discovery_prefer_cidrs=tuple(prefer),
    )


def interfaces_of(kind: str, answer: Any) -> tuple[Interface, ...]:
    try:
        return (
            wire.container_interfaces(answer) if kind == "lxc" else wire.agent_interfaces({"result": answer})
        )
    except wire.AgentRefused:
        return ()


def learned(
    guest: Guest, config: GuestConfig, faces: Iterable[Interface], prefer: Sequence[Network]
) -> Facts:
    reported = choose(config.nics, faces, prefer)
    address = reported or choose_static(config.nics, prefer)
    outcome = schedule.Outcome(
        config=config,
        asked_agent=True,
        address=address,
        source="agent" if reported else "static",
        reason=None if address else Reason.NO_ADDRESS,
    )
    return schedule.apply(schedule.observe(Facts(), guest, 0), guest, outcome, 1, fraction=1.0, jitter=1.0)


def inventory_of(answers: Answers) -> Inventory:
    """Go the way of a refresh, without asking anybody."""
    settings = service_settings(answers.prefer)
    found, status = wire.resources(answers.resources), wire.cluster_status(answers.status)
    nodes = {name: replace(node, ip=status.ips.get(name, "")) for name, node in found.nodes.items()}
    nodes |= {name: Node(name, online=True, ip=ip) for name, ip in status.ips.items() if name not in nodes}
    gpus = {name: wire.nvidia_gpus(answers.pci) for name in nodes}
    around = Surroundings(nodes, found.storages, gpus, wire.pci_mappings(answers.mappings))
    facts: dict[int, Facts] = {}
    for turn, guest in enumerate(found.guests.values()):
        config = wire.config(guest.kind, answers.configs[turn % len(answers.configs)])
        faces = interfaces_of(guest.kind, answers.faces[turn % len(answers.faces)])
        facts[guest.vmid] = learned(guest, config, faces, answers.prefer)
    guests = tuple(view(guest, facts[guest.vmid], around, settings) for guest in found.guests.values())
    free = free_gpus(around, found.guests.values(), {vmid: entry.config for vmid, entry in facts.items()})
    return Inventory(
        cluster=status.name,
        guests=guests,
        nodes=node_views(around, free, settings),
        endpoints=tuple(EndpointView(name, f"{name}:8006", name, name == "pve1") for name in NODES),
        conflicts=conflicts(guests),
        complete=True,
    )


INVENTORIES = ANSWERS.map(inventory_of)
MODES = some("full", "lean")
REACHABLE_6 = (ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("fc00::/7"))
UNREACHABLE_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_target(target: str) -> None:
    host, _, port = target.rpartition(":")
    assert re.fullmatch(r"[1-9][0-9]{0,4}", port)
    assert int(port) <= 65535
    if host.startswith("["):
        assert host.endswith("]")
        six = ipaddress.IPv6Address(host[1:-1])
        assert six.scope_id is None
        assert any(six in network for network in REACHABLE_6)
    else:
        four = ipaddress.IPv4Address(host)
        assert not any(four in network for network in UNREACHABLE_4)


def check_labels(labels: dict[str, Any]) -> None:
    for name, value in labels.items():
        assert LABEL_NAME.fullmatch(name)
        assert isinstance(value, str)
        assert value.encode().decode() == value
    tags = labels.get("tags", "")
    assert tags == "" or tags == f",{','.join(sorted(tags.strip(',').split(',')))},"


def groups(body: Body) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body.content.decode("utf-8"))
    assert all(group.keys() == {"targets", "labels"} for group in found)
    return found


def identity(group: dict[str, Any]) -> tuple[int, str]:
    """Nodes come first, by name, then guests by VMID."""
    labels = group["labels"]
    return (int(labels["vm_id"]), "") if "vm_id" in labels else (0, labels["node"])


@given(INVENTORIES, MODES)
def test_bodies_are_sorted_and_hold_nothing_but_valid_targets(inventory: Inventory, mode: str) -> None:
    bodies = {name: groups(body) for name, body in Renderer(mode).render(inventory).items()}
    members = bodies.pop("pve")
    assert members == sorted(members, key=lambda group: str(group["targets"]))
    for found in bodies.values():
        identities = [identity(group) for group in found]
        assert identities == sorted(set(identities))
        for group in found:
            check_labels(group["labels"])
            (target,) = group["targets"]
            check_target(target)
    every = {identity(group) for group in bodies["all"]}
    assert {identity(group) for group in bodies["windows"] + bodies["linux"]} <= every


CHANGES: tuple[Callable[[Inventory], Inventory], ...] = (
    lambda found: found,
    lambda found: replace(found, cluster=f"{found.cluster}x"),
    lambda found: replace(found, guests=tuple(replace(g, name=f"{g.name}x") for g in found.guests)),
    lambda found: replace(found, guests=found.guests[1:], nodes=found.nodes[1:]),
)


@given(INVENTORIES, MODES, st.randoms(use_true_random=False))
def test_equal_inventories_give_equal_bytes(inventory: Inventory, mode: str, chance: Any) -> None:
    expected = Renderer(mode).render(inventory)
    for change in CHANGES:
        renderer = Renderer(mode)
        before = renderer.render(change(inventory))
        shuffled = replace(
            inventory,
            guests=tuple(chance.sample(inventory.guests, len(inventory.guests))),
            nodes=tuple(chance.sample(inventory.nodes, len(inventory.nodes))),
            endpoints=tuple(chance.sample(inventory.endpoints, len(inventory.endpoints))),
        )
        assert renderer.render(shuffled) == expected
        name: Name
        for name, body in expected.items():
            assert (body.etag == before[name].etag) == (body.content == before[name].content)


@given(INVENTORIES)
def test_a_guest_that_runs_is_a_target_or_has_a_reason(inventory: Inventory) -> None:
    for guest in inventory.guests:
        meant_to_run = not guest.template and guest.status != "stopped"
        assert bool(guest.target) + bool(guest.reason) == meant_to_run
        assert not guest.reason or guest.reason in set(Reason)
        assert (guest.reason == Reason.EXCLUDED) == (meant_to_run and ",mon-off," in guest.tags)


class Cells(html.parser.HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)


def as_markup(item: Any) -> Any:
    """Return a copy of a view with every text made into markup, but for the reason, which is a fixed word."""
    values = {field.name: getattr(item, field.name) for field in fields(item) if field.name != "reason"}
    return replace(
        item, **{name: f"<b>{text}" for name, text in values.items() if text and isinstance(text, str)}
    )


@given(INVENTORIES)
def test_nothing_of_the_cluster_becomes_markup(inventory: Inventory) -> None:
    marked = replace(
        inventory,
        cluster=f"<b>{inventory.cluster}",
        guests=tuple(as_markup(guest) for guest in inventory.guests),
        nodes=tuple(as_markup(node) for node in inventory.nodes),
        endpoints=tuple(as_markup(endpoint) for endpoint in inventory.endpoints),
        conflicts=("<b>",),
    )
    status = Status(marked, age=1.0, success_at=1.0, fresh=True, missing={"<b>": True}, pve_version="<b>")
    cells = Cells()
    cells.feed(page(status))
    assert cells.tags.count("td") == 9 * len(inventory.guests) + 3 * len(inventory.nodes)
    assert "b" not in cells.tags


@given(INVENTORIES)
def test_metrics_name_each_guest_once_and_rightly(inventory: Inventory) -> None:
    registry = CollectorRegistry()
    registry.register(StatusCollector(lambda: Status(inventory, age=None, success_at=0.0, fresh=False)))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    (info,) = (family for family in families if family.name == "pve_discovery_guest_info")
    shown = [(int(sample.labels["vm_id"]), sample.labels["vm_name"]) for sample in info.samples]
    assert shown == [(guest.vmid, guest.name) for guest in inventory.guests]


@given(GUESTS, GUESTS)
def test_what_was_known_outlives_an_unknown_row(before: dict[str, Any], now: dict[str, Any]) -> None:
    right = {"type": "qemu", "vmid": 100, "node": "pve1"}
    known = wire.resources([before | right | {"status": "running"}]).guests[100]
    row = wire.resources([now | right]).guests[100]
    merged = merge(known, row)
    if row.status == "unknown":
        assert (merged.name, merged.status, merged.memory) == (known.name, "running", known.memory)
    else:
        assert merged is row


# --- the choice of the address

FEW_ADDRESSES = mostly(
    some("10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1", "2001:db8::1", "fe80::1%2"), ADDRESSES
)
CHOICE_NICS = st.lists(st.sampled_from(MACS[:3]), max_size=3, unique=True).map(
    lambda macs: tuple(Nic(9 - 3 * place, mac.lower()) for place, mac in enumerate(macs))
)
CHOICE_FACES = st.lists(
    st.builds(
        Interface,
        name=some("eth0", "docker0", "weave"),
        mac=some(*(mac.lower() for mac in MACS[:3]), BRIDGE_MAC, ""),
        addresses=st.lists(FEW_ADDRESSES, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=5,
)
NETWORKS = st.lists(
    st.sampled_from(
        [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "fd00::/8", "192.0.2.0/24", "::/0")]
    ),
    max_size=2,
)


@given(st.lists(st.ip_addresses().map(str) | ANY_TEXT))
def test_whatever_counts_as_reachable_can_be_a_target(others: list[str]) -> None:
    for text in (*ODD_ADDRESSES, *others):
        address = reachable(text)
        if address is not None:
            check_target(host_port(str(address), 9100))
            assert reachable(str(address)) == address


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), some("", "/24", "%eth0", "%3/64"))
def test_every_address_that_can_be_a_target_counts_as_reachable(address: Any, rest: str) -> None:
    try:
        check_target(host_port(str(address), 9100))
    except AssertionError:
        return
    assert reachable(f"{address}{rest}") == address


def texts(face: Interface) -> set[str]:
    return {str(address) for text in face.addresses if (address := reachable(text))}


def candidates(nics: Sequence[Nic], faces: Iterable[Interface]) -> dict[str, int]:
    """Return the addresses on the guest's own cards with the lowest index of a card that has them."""
    found: dict[str, int] = {}
    for nic in sorted(nics, key=lambda nic: -nic.index):
        for face in faces:
            if face.mac == nic.mac:
                found |= dict.fromkeys(texts(face), nic.index)
    return found


def preference(text: str, prefer: Sequence[Network]) -> int:
    address = ipaddress.ip_address(text)
    return next((place for place, network in enumerate(prefer) if address in network), len(prefer))


@hypothesis_profile.times(5)
@given(CHOICE_NICS, CHOICE_FACES, NETWORKS, FEW_ADDRESSES)
@example(  # the first card decides, even if it has IPv6 alone
    nics=(Nic(0, "bc:24:11:00:00:01"), Nic(1, "bc:24:11:00:00:02")),
    faces=[
        Interface("eth0", "bc:24:11:00:00:01", ("fd00::1",)),
        Interface("eth1", "bc:24:11:00:00:02", ("10.0.0.1",)),
    ],
    prefer=[],
    previous="",
)
def test_the_choice_is_the_best_of_what_the_own_cards_report(
    nics: tuple[Nic, ...], faces: list[Interface], prefer: list[Network], previous: str
) -> None:
    assume({face.mac for face in faces} & {nic.mac for nic in nics})
    found = candidates(nics, faces)
    chosen = choose(nics, faces, prefer, previous)
    if not found:
        assert chosen == ""
        return

    def rank(text: str) -> tuple[int, bool, int, bool]:
        return preference(text, prefer), text != previous, found[text], ":" in text

    assert chosen in found
    assert rank(chosen) == min(rank(text) for text in found)


@hypothesis_profile.times(5)
@given(CHOICE_NICS, CHOICE_FACES, NETWORKS, FEW_ADDRESSES)
def test_no_address_is_made_up_or_taken_from_a_bridge(
    nics: tuple[Nic, ...], faces: list[Interface], prefer: list[Network], previous: str
) -> None:
    macs = {nic.mac for nic in nics}
    own = [face for face in faces if face.mac in macs] or [face for face in faces if face.name == "eth0"]
    found = {text for face in own for text in texts(face)}
    chosen = choose(nics, faces, prefer, previous)
    assert chosen in found or (chosen, found) == ("", set())


@hypothesis_profile.times(5)
@given(CHOICE_NICS, CHOICE_FACES, NETWORKS, FEW_ADDRESSES, st.randoms(use_true_random=False))
def test_the_order_of_the_answer_never_matters_and_the_choice_is_kept(
    nics: tuple[Nic, ...], faces: list[Interface], prefer: list[Network], previous: str, chance: Any
) -> None:
    chosen = choose(nics, faces, prefer, previous)
    mixed = [
        replace(face, addresses=tuple(chance.sample(face.addresses, len(face.addresses)))) for face in faces
    ]
    assert (
        choose(chance.sample(nics, len(nics)), chance.sample(mixed, len(mixed)), prefer, previous) == chosen
    )
    assert choose(nics, faces, prefer, previous=chosen) == chosen


@given(st.lists(st.tuples(MAC_SPELLINGS, ADDRESSES), max_size=4))
def test_cards_are_known_by_their_mac_in_any_spelling(faces: list[tuple[str, str]]) -> None:
    nics = wire.config("qemu", {"net0": f"virtio={MACS[0]}", "net1": f"e1000={MACS[1].lower()}"}).nics
    answer = [
        {"name": "x", "hardware-address": mac, "ip-addresses": [{"ip-address": ip}]} for mac, ip in faces
    ]
    plain = [
        Interface("x", mac.lower().replace("-", ":"), (ip,)) for mac, ip in faces if not mac.startswith("00")
    ]
    own = candidates((Nic(0, MACS[0].lower()), Nic(1, MACS[1].lower())), plain)
    chosen = choose(nics, wire.container_interfaces(answer))
    if own:
        assert own[chosen] == min(own.values())


# --- when to ask

JITTER = st.floats(0.8, 1.2)
FAILURES = st.sampled_from([reason for reason in Reason if reason is not Reason.EXCLUDED])


@given(FAILURES, st.integers(1, 10**6), st.integers(0, 10**9))
def test_waits_grow_up_to_a_limit(reason: Reason, failures: int, uptime: int) -> None:
    waits = [schedule.backoff(reason, count, uptime) for count in (failures, failures + 1)]
    assert 10 <= waits[0] <= waits[1] <= schedule.AGENT_SECONDS


@given(st.integers(0, 10**7))
def test_first_intervals_are_a_share_of_the_usual_one(count: int) -> None:
    assert 0 < schedule.phase(count) <= 1


class Life(RuleBasedStateMachine):
    """A guest is started, stopped, moved, resized and asked, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.started = 0.0
        self.asked = 0
        self.facts = Facts()
        self.guest = Guest(101, "qemu", "pve1", "running", "web", vcpus=4, memory=8, disk=32)

    @initialize()
    def first_seen(self) -> None:
        self.see()

    def see(self, **changes: Any) -> None:
        status = changes.get("status", self.guest.status)
        uptime = int(self.now - self.started) if status == "running" else 0
        self.guest = replace(self.guest, **({"uptime": uptime} | changes))
        self.facts = schedule.observe(self.facts, self.guest, self.now)

    @rule(seconds=st.floats(0.1, 4000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.see()

    @rule(status=some("stopped", "unknown", "paused"))
    def goes_down(self, status: str) -> None:
        self.see(status=status)

    @rule()
    def starts(self) -> None:
        self.started = self.now
        self.see(status="running")

    @rule(node=st.sampled_from(NODES))
    def moves(self, node: str) -> None:
        moved = self.guest.alive and node != self.guest.node
        self.see(node=node)
        assert not moved or self.facts.agent_due == self.facts.config_due == self.now

    @rule(vcpus=some(1.0, 2.0), lock=some("", "backup", "migrate", "snapshot"))
    def changes(self, vcpus: float, lock: str) -> None:
        self.see(vcpus=vcpus, lock=lock)

    def ask(self) -> schedule.Ask | None:
        return schedule.due(self.facts, self.guest, self.now)

    def learn(self, outcome: schedule.Outcome, jitter: float, node: str = "") -> None:
        """Take an answer in; `node` is where the guest was when the question was sent."""
        self.asked += 1
        asked = replace(self.guest, node=node or self.guest.node)
        fraction = schedule.phase(self.asked)
        self.facts = schedule.apply(self.facts, asked, outcome, self.now, fraction=fraction, jitter=jitter)

    @precondition(lambda self: self.ask() is not None)
    @rule(address=some("192.0.2.1", "192.0.2.2"), jitter=JITTER, node=some("", *NODES))
    def answers(self, address: str, jitter: float, node: str) -> None:
        config = GuestConfig(digest=address)
        outcome = schedule.Outcome(config=config, asked_agent=True, address=address, source="agent")
        self.learn(outcome, jitter, node)
        assert (self.facts.address, self.facts.source, self.facts.failures) == (address, "agent", 0)
        moved = node not in {"", self.guest.node}
        assert (self.facts.agent_due == self.now) is moved

    @precondition(lambda self: self.ask() is not None)
    @rule(
        reason=FAILURES,
        jitter=JITTER,
        config=st.none() | st.just(GuestConfig()),
        static=some("", "192.0.2.9"),
    )
    def fails(self, reason: Reason, jitter: float, config: GuestConfig | None, static: str) -> None:
        before = self.facts
        outcome = schedule.Outcome(config, asked_agent=True, address=static, source="static", reason=reason)
        self.learn(outcome, jitter)
        stands_in = static and before.source != "agent"
        expected = (static, "static") if stands_in else (before.address, before.source)
        assert (self.facts.address, self.facts.source) == expected
        wait = self.facts.agent_due - self.now
        assert 10 * jitter - 0.001 <= wait <= schedule.AGENT_SECONDS * jitter + 0.001
        assert self.ask() is None

    @invariant()
    def who_is_down_is_not_asked_and_has_no_target(self) -> None:
        if self.guest.status != "running":
            assert self.ask() is None
        if not self.guest.alive:
            assert self.facts.source == ""

    @invariant()
    def everybody_is_asked_in_the_end(self) -> None:
        ready = replace(self.guest, status="running", lock="")
        assert schedule.due(self.facts, ready, self.now + 1.2 * schedule.AGENT_SECONDS) is not None
        assert self.facts.config_due <= self.now + 1.2 * schedule.CONFIG_SECONDS

    @invariant()
    def a_source_has_an_address(self) -> None:
        assert self.facts.address or not self.facts.source


TestLife = Life.TestCase

# --- what survives a restart

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def any_of(kind: type[Any], **given_: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Build a dataclass of anything that its fields may hold; numbers are finite."""
    hints = get_type_hints(kind)
    usual = {field.name: FINITE if hints[field.name] is float else ... for field in fields(kind)}
    return st.builds(kind, **(usual | given_))


CONFIG_VALUES = any_of(
    GuestConfig,
    nics=st.lists(any_of(Nic), max_size=2).map(tuple),
    pci=st.lists(any_of(PciPass), max_size=2).map(tuple),
)
FACTS = any_of(
    Facts,
    config=st.none() | CONFIG_VALUES,
    seen_shape=st.tuples(FINITE, st.integers(), st.integers()),
)
STATES: st.SearchStrategy[State] = any_of(
    State,
    version=st.just(1),
    guests=st.lists(any_of(Guest), max_size=3).map(tuple),
    facts=st.dictionaries(st.integers(1, 10**9), FACTS, max_size=3),
    nodes=st.lists(any_of(Node), max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # a busy disk takes longer than all the rest
        yield tmp_path_factory.mktemp("state")


@given(state=STATES)
def test_what_is_saved_is_what_is_loaded(folder: Path, state: State) -> None:
    file = StateFile(folder)
    file.save(state)
    assert file.load() == state


@given(state=STATES, data=st.data())
def test_a_damaged_file_is_never_believed(folder: Path, state: State, data: st.DataObject) -> None:
    file = StateFile(folder)
    file.save(state)
    path = folder / "state.json"
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[place] ^ data.draw(st.integers(1, 255))
    path.write_bytes(data.draw(some(whole[:place], whole[:place] + bytes([flipped]) + whole[place + 1 :])))
    assert file.load() is None
    assert not path.exists()


@given(content=st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_other_file_is_set_aside(folder: Path, content: bytes) -> None:
    (folder / "state.json").write_bytes(content)
    assert StateFile(folder).load() is None
    assert (folder / "state.json.damaged").read_bytes() == content


MOMENTS = st.floats(0, 2e9)


@given(STATES.filter(lambda state: state.facts), MOMENTS, MOMENTS, MOMENTS, MOMENTS)
def test_time_goes_on_across_a_restart(
    state: State, saved_at: float, saved_clock: float, wall: float, clock: float
) -> None:
    moved = rebased(replace(state, saved_at=saved_at, saved_clock=saved_clock), wall, clock)
    for vmid, facts in state.facts.items():
        left = facts.agent_due - saved_clock
        assert moved.facts[vmid].agent_due - clock == pytest.approx(
            left - max(0.0, wall - saved_at), rel=1e-6, abs=1e-3
        )


# --- rules


@given(
    st.lists(
        ANY_TEXT | st.builds("{}:{}".format, some("tag", "vmid", "node", "pool", "x"), ANY_TEXT), max_size=3
    )
)
def test_rules_are_understood_or_refused_by_name(items: list[str]) -> None:
    try:
        rules = parse_rules(items)
    except ValueError as error:
        message = str(error)
    else:
        assert len(rules) == len(items)
        assert all(rule.first <= rule.last and rule.value for rule in rules)
        return
    assert any(repr(item) in message for item in items)


@given(st.integers(1, 999_999_999), st.integers(0, 10**6), st.integers(1, 999_999_999))
def test_a_range_holds_what_lies_between_its_ends(first: int, length: int, vmid: int) -> None:
    last = min(first + length, 999_999_999)
    guest = Guest(vmid, "qemu", "pve1", "running", "web")
    assert watched(guest, parse_rules([f"{first}-{last}"]), ()) == (first <= vmid <= last)
    assert watched(guest, (), parse_rules([f"vmid:{first}-{last}"])) != (first <= vmid <= last)


@given(st.lists(ANY_TEXT | st.from_regex(r"\Amon-port-\d{1,6}\s?\Z"), max_size=3))
def test_overrides_are_ports_and_systems(tags: list[str]) -> None:
    port = port_override(tags)
    assert port is None or (
        1 <= port <= 65535 and f"mon-port-{port}" in {tag.replace("-0", "-") for tag in tags}
    )
    assert os_override(tags) in {"", "windows", "linux"}
