"""Which privileges the token in pveProvisioningToken needs, on which path, for which call (pure).

Sources: the permissions in the API schemas of Proxmox VE 8.4 and 9.1, and for configurations of guests
check_vm_modify_config_perm in PVE/API2/Qemu.pm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components.settings import Access, Firewall, ProxmoxDocker

_MACHINE = (
    *("VM.Allocate", "VM.Audit", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Cloudinit"),
    *("VM.Config.Disk", "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options"),
)
_IMAGES = ("Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit")


@dataclass(frozen=True)
class Need:
    """What a call takes.

    Attributes:
        call: method and path as in Proxmox VE's API viewer.
    """

    path: str
    privileges: tuple[str, ...]
    call: str


def of_machine(machine: ProxmoxDocker) -> tuple[Need, ...]:
    """To make a VM of its image, and to take both away again."""
    vm, node = f"/vms/{machine.vm_id}", f"/nodes/{machine.node}"
    images, disks = f"/storage/{machine.image_datastore}", f"/storage/{machine.disk_datastore}"
    network = f"/sdn/zones/localnetwork/{machine.bridge}"
    return (
        Need(vm, _MACHINE, f"POST {node}/qemu"),
        Need(vm, ("VM.PowerMgmt",), f"POST {node}/qemu/{machine.vm_id}/status/start"),
        Need(node, ("Sys.AccessNetwork", "Sys.Audit"), f"POST {node}/storage/{images[9:]}/download-url"),
        Need(images, _IMAGES, f"POST {node}/storage/{images[9:]}/download-url"),
        Need(disks, ("Datastore.AllocateSpace", "Datastore.Audit"), f"POST {node}/qemu"),
        Need(
            network if machine.vlan is None else f"{network}/{machine.vlan}",
            ("SDN.Use",),
            f"POST {node}/qemu",
        ),
    )


def of_access(access: Access) -> tuple[Need, ...]:
    """To make users, tokens and their rights."""
    rooms = ("/nodes", "/storage", *(f"/pool/{pool}" for pool in access.pools)) if access.pools else ()
    needs = [
        Need("/access/realm/pve", ("Realm.AllocateUser",), "POST /access/users"),
        Need("/access/groups", ("User.Modify",), "POST /access/users/{userid}/token/{tokenid}"),
        *(Need(path, ("Permissions.Modify",), "PUT /access/acl") for path in ("/", *rooms)),
        *(Need(f"/pool/{pool}", ("Pool.Audit",), "GET /pools") for pool in access.pools),
    ]
    if access.guest_agent and access.release < 9:
        needs.append(Need("/access", ("Sys.Modify",), "POST /access/roles"))
    return tuple(needs)


def of_firewall(firewall: Firewall, machines: Iterable[ProxmoxDocker]) -> tuple[Need, ...]:
    """To make groups and sets, and to attach them to the datacenter, guests and VMs of the program."""
    guests = [(guest.node, guest.vm_id) for guest in firewall.guests]
    guests += [(machine.node, machine.vm_id) for machine in machines]
    return (
        Need("/", ("Sys.Audit", "Sys.Modify"), "POST /cluster/firewall/groups"),
        *(
            Need(
                f"/vms/{vm_id}",
                ("VM.Audit", "VM.Config.Network"),
                f"POST /nodes/{node}/qemu/{vm_id}/firewall/rules",
            )
            for node, vm_id in guests
        ),
    )


def missing(needs: Iterable[Need], granted: dict[str, frozenset[str]]) -> Iterator[str]:
    """A line for each need that isn't met.

    Args:
        needs: all of them.
        granted: privileges by path.
    """
    for need in needs:
        if lacking := sorted(set(need.privileges) - granted[need.path]):
            yield f"{', '.join(lacking)} on {need.path}, for {need.call}"
