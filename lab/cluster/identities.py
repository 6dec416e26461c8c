"""The users, tokens and privileges of the simulated cluster; made up, and the same everywhere."""

from collections.abc import Iterator
from dataclasses import dataclass

# pve-access-control: the built-in role PVEAuditor of each release (VM.GuestAgent.* came with 9, where
# VM.Monitor went).
AUDITOR = frozenset(
    {"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"},
)
AUDITOR_9 = AUDITOR | {"VM.GuestAgent.Audit"}
MONITOR_8 = frozenset({"VM.Monitor"})
# What it takes to fetch a disk image and to create, change and remove a virtual machine from it.
PROVISIONING = frozenset(
    {
        "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit",
        "SDN.Use", "Sys.AccessNetwork", "Sys.Audit", "VM.Allocate", "VM.Audit", "VM.Config.CDROM",
        "VM.Config.CPU", "VM.Config.Cloudinit", "VM.Config.Disk", "VM.Config.HWType", "VM.Config.Memory",
        "VM.Config.Network", "VM.Config.Options", "VM.PowerMgmt",
    }
)  # fmt: skip
# What it takes besides to make users, tokens, roles and ACL entries, and to change firewalls.
GOVERNING = frozenset({"Permissions.Modify", "Pool.Audit", "Realm.AllocateUser", "Sys.Modify", "User.Modify"})

# What every release knows, from the schema of GET /access/roles/{roleid}.
PRIVILEGES = frozenset(
    {
        *PROVISIONING, *GOVERNING, *AUDITOR, "Group.Allocate", "Mapping.Modify", "Mapping.Use",
        "Pool.Allocate", "Realm.Allocate", "SDN.Allocate", "Sys.Console", "Sys.Incoming", "Sys.PowerMgmt",
        "Sys.Syslog", "VM.Backup", "VM.Clone", "VM.Console", "VM.Migrate", "VM.Snapshot",
        "VM.Snapshot.Rollback",
    }
)  # fmt: skip
PRIVILEGES_8 = PRIVILEGES | MONITOR_8
PRIVILEGES_9 = PRIVILEGES | {
    "VM.GuestAgent.Audit", "VM.GuestAgent.FileRead", "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted", "VM.Replicate",
}  # fmt: skip


def known_privileges(release: int) -> frozenset[str]:
    """The privileges that exist on Proxmox VE ``release`` (8 or 9)."""
    return PRIVILEGES_8 if release == 8 else PRIVILEGES_9


def special_roles(release: int) -> dict[str, frozenset[str]]:
    """The built-in roles that matter here; nobody changes them."""
    every = known_privileges(release)
    auditor = AUDITOR if release == 8 else AUDITOR_9
    return {"Administrator": every, "NoAccess": frozenset(), "PVEAuditor": auditor}


# Roles that the operator of the simulated cluster made.
ROLES = {
    "GuestAgent": MONITOR_8,
    # Whoever has it can run anything in every guest.
    "GuestEnroll": MONITOR_8 | {"VM.Audit", "VM.GuestAgent.Unrestricted"},
    "Provisioning": PROVISIONING | GOVERNING,
}


@dataclass(frozen=True)
class Token:
    """An API token: ``USER@REALM!NAME``, its secret, and the roles that it and its user have on ``/``.

    A role of Proxmox VE 8 only is in ``roles_8``.
    """

    id: str
    secret: str
    roles: tuple[str, ...] = ()
    roles_8: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The user that the token belongs to."""
        return self.id.partition("!")[0]

    @property
    def name(self) -> str:
        """The token's own name, after the exclamation mark."""
        return self.id.partition("!")[2]

    def granted(self, release: int) -> Iterator[str]:
        """The roles on Proxmox VE ``release`` (8 or 9)."""
        yield from self.roles
        if release == 8:
            yield from self.roles_8


DISCOVERY = Token(
    "discovery@pve!monitoring", "5b0c2d7e-3f41-4a86-9c1d-7e2f8a904b61", ("PVEAuditor",), ("GuestAgent",)
)
EXPORTER = Token("exporter@pve!monitoring", "c7e1a0f4-92b8-4d35-8f6a-1b3d5c7e9f20", ("PVEAuditor",))
NO_AUDIT = Token("noaudit@pve!monitoring", "0f9e8d7c-6b5a-4c3d-9e1f-2a3b4c5d6e7f")
ENROLLER = Token("enroll@pve!once", "7d3a5e90-1c64-4f28-a0b9-e58d2c7f6134", ("GuestEnroll",))
PROVISIONER = Token("provisioning@pve!pulumi", "2f6d9b1c-8a47-4e03-b5d2-6c90e1f7a384", ("Provisioning",))

TOKENS = {token.id: token for token in (DISCOVERY, EXPORTER, NO_AUDIT, ENROLLER, PROVISIONER)}
