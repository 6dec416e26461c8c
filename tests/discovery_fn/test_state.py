"""The state file."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from discovery_fn.model import Facts, Guest, GuestConfig, Nic, Node, PciPass, Reason
from discovery_fn.state import State, StateFile, rebased

GUEST = Guest(101, "qemu", "pve1", "running", "wéb", tags=("a",), uptime=5, vcpus=1.5)
CONFIG = GuestConfig("d", "l26", True, (Nic(0, "aa", ("192.0.2.1",)),), "scsi", "x", (PciPass("0000:41:00"),))
FACTS = Facts(
    CONFIG, "192.0.2.1", "agent", "linux", reason=Reason.AGENT_DEAD, agent_due=1500.0, seen_at=900.0
)


def state(**changes: Any) -> State:
    values: dict[str, Any] = {
        "version": 1,
        "cluster": "lab",
        "saved_at": 1_700_000_000.0,
        "saved_clock": 1000.0,
        "success_at": 1_699_999_990.0,
        "complete": True,
        "guests": (GUEST,),
        "facts": {101: FACTS},
        "nodes": (Node("pve1", True, ip="192.0.2.11"),),
        "storages": {"x": "rbd"},
        "gpus": {"pve1": frozenset({"0000:41:00.0"})},
        "mappings": {"acc": (("pve1", "0000:41:00.0"),)},
        "endpoint_nodes": {"https://pve1:8006": "pve1"},
    }
    return State(**(values | changes))


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "new")
    file.save(state())
    assert file.load() == state()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.json"]


def test_nothing_saved_and_nowhere_to_save(tmp_path: Path) -> None:
    assert StateFile(tmp_path).load() is None
    StateFile(None).save(state())
    assert StateFile(None).load() is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"version":1}', b"\xff\xfe", b'{"version":2}']
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    file = StateFile(tmp_path)
    (tmp_path / "state.json").write_bytes(content)
    assert file.load() is None
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    assert not (tmp_path / "state.json").exists()
    file.save(state())
    assert file.load() == state()


def test_any_cut_or_flipped_byte_is_either_found_or_harmless(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.save(state())
    whole = (tmp_path / "state.json").read_bytes()
    chance = random.Random(5)  # noqa: S311
    for _ in range(200):
        broken = bytearray(whole)
        if chance.random() < 0.5:
            broken = broken[: chance.randrange(len(whole))]
        else:
            broken[chance.randrange(len(whole))] = chance.randrange(256)
        (tmp_path / "state.json").write_bytes(bytes(broken))
        loaded = file.load()
        assert loaded is None or isinstance(loaded, State)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.save(state())
    (tmp_path / "state.json.new").write_bytes(b"half")
    assert file.load() == state()


def test_a_directory_that_cannot_be_written_is_an_error_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(OSError, match="blocked"):
        StateFile(tmp_path / "blocked").save(state())


def test_times_move_to_the_clock_of_the_new_process() -> None:
    moved = rebased(state(), wall=1_700_000_060.0, clock=50.0)
    assert moved.facts[101].agent_due == 50.0 - 60 + 500
    assert moved.facts[101].seen_at == 50.0 - 60 - 100


def test_a_wall_clock_set_back_counts_as_no_time() -> None:
    moved = rebased(state(), wall=1_600_000_000.0, clock=50.0)
    assert moved.facts[101].agent_due == 550.0
