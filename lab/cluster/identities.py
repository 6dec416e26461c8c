"""The users, tokens and privileges of the simulated cluster; made up, and the same everywhere."""

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


@dataclass(frozen=True)
class Token:
    """An API token: ``USER@REALM!NAME``, its secret, and what it may do on ``/`` (propagated) by release."""

    id: str
    secret: str
    privileges_8: frozenset[str]
    privileges_9: frozenset[str]

    @property
    def user(self) -> str:
        """The user that the token belongs to."""
        return self.id.partition("!")[0]

    @property
    def name(self) -> str:
        """The token's own name, after the exclamation mark."""
        return self.id.partition("!")[2]

    def privileges(self, release: int) -> frozenset[str]:
        """What the token may do on Proxmox VE ``release`` (8 or 9)."""
        return self.privileges_8 if release == 8 else self.privileges_9


DISCOVERY = Token(
    "discovery@pve!monitoring", "5b0c2d7e-3f41-4a86-9c1d-7e2f8a904b61", AUDITOR | MONITOR_8, AUDITOR_9
)
EXPORTER = Token("exporter@pve!monitoring", "c7e1a0f4-92b8-4d35-8f6a-1b3d5c7e9f20", AUDITOR, AUDITOR_9)
NO_AUDIT = Token("noaudit@pve!monitoring", "0f9e8d7c-6b5a-4c3d-9e1f-2a3b4c5d6e7f", frozenset(), frozenset())
PROVISIONER = Token(
    "provisioning@pve!pulumi", "2f6d9b1c-8a47-4e03-b5d2-6c90e1f7a384", PROVISIONING, PROVISIONING
)

TOKENS = {token.id: token for token in (DISCOVERY, EXPORTER, NO_AUDIT, PROVISIONER)}
