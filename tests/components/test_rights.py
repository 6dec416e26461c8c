"""The privileges that are looked at are those that the example of a stack file asks operators to give."""

from __future__ import annotations

import re

import pytest

from components import rights
from components.rights import Need
from components.settings import ProxmoxDocker
from tests.support.examples import FILTERED, MANAGED, PROXMOX, ROOT, settings

EXAMPLE = ROOT / "docs" / "examples" / "Pulumi.production.yaml"


def _comments() -> str:
    """The comments as one text."""
    lines = re.findall(r"^\s*#(.*)", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    return " ".join(" ".join(lines).split())


def _machine() -> ProxmoxDocker:
    machine = settings(PROXMOX).docker
    assert isinstance(machine, ProxmoxDocker)
    return machine


def test_the_role_of_the_vm_has_what_is_needed_and_nothing_more() -> None:
    (role,) = re.findall(r'pveum role add MonitoringProvisioning --privs "([^"]+)"', _comments())
    needed = {privilege for need in rights.of_machine(_machine()) for privilege in need.privileges}
    assert set(role.split()) == needed


def test_its_paths_are_those_that_are_looked_at() -> None:
    (paths,) = re.findall(r"for path in ([^;]+); do pveum acl modify \$path", _comments())
    machine = _machine().model_copy(update={"vlan": None})
    assert set(paths.split()) == {need.path for need in rights.of_machine(machine)}


@pytest.mark.parametrize("needs", [rights.of_access(settings(MANAGED).access)])
def test_the_roles_for_users_and_rights_are_written_there(needs: tuple[Need, ...]) -> None:
    roles = re.findall(r'pveum role add Monitoring(?:Users|Rights) --privs "([^"]+)"', _comments())
    given = {privilege for role in roles for privilege in role.split()}
    assert given == {privilege for need in needs for privilege in need.privileges}


def test_the_firewalls_are_named_there() -> None:
    made = settings(FILTERED)
    needs = rights.of_firewall(made.firewall, [_machine()])
    assert [need.path for need in needs] == ["/", "/vms/101", "/vms/9100"]
    assert "Sys.Modify and Sys.Audit on /" in _comments()
    assert "VM.Config.Network and VM.Audit on /vms/<each>" in _comments()


def test_what_is_missing_is_a_line_for_each_call() -> None:
    needs = [Need("/a", ("X", "Y"), "POST /x"), Need("/b", ("Z",), "POST /z")]
    granted = {"/a": frozenset({"Y"}), "/b": frozenset({"Z"})}
    assert list(rights.missing(needs, granted)) == ["X on /a, for POST /x"]
