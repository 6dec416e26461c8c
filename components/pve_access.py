"""Who reads the cluster: users, API tokens and ACL entries for discovery and pve-exporter, and nothing more.

Proxmox VE intersects a token's rights with its user's (privilege separation): both get the same entries. An
entry on a deeper path replaces what is inherited there, so that roles that add up stand on the same path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_proxmoxve as proxmoxve

from components import rights
from components.cluster_provider import cluster_provider
from components.preflight import Wanted
from components.settings import Access, Secret, Secrets, StackSettings

AUDITOR = "PVEAuditor"
# VM.GuestAgent.Audit, which reads addresses only, came with 9; PVEAuditor has it there.
AGENT_8 = ("VM.Monitor",)

CONSUMERS = {Secret.PVE_DISCOVERY_TOKEN: "discovery", Secret.PVE_EXPORTER_TOKEN: "exporter"}

_WARNING = (
    "access.guestAgent on Proxmox VE 8 grants VM.Monitor: whoever has discovery's token can run commands in "
    "guests. Without it, guests are found by their static addresses (ipconfigN) only. Proxmox VE 9 "
    "doesn't need it."
)


@dataclass(frozen=True, kw_only=True)
class PveAccessArgs:
    """Arguments of PveAccess.

    Attributes:
        token: whole API token that may make all this, `user@realm!name=uuid`.
    """

    settings: StackSettings
    token: pulumi.Input[str]


@dataclass(frozen=True)
class Grant:
    """A role on a path.

    Attributes:
        key: part of names in Pulumi.
        propagate: it holds below the path as well.
    """

    key: str
    path: str
    role: str
    propagate: bool = True


def auditing(access: Access) -> tuple[Grant, ...]:
    """What both users and tokens may do: pure."""
    found = [Grant("audit", "/", AUDITOR, propagate=not access.pools)]
    if access.pools:
        found += [Grant(f"audit-{room}", f"/{room}", AUDITOR) for room in ("nodes", "storage")]
        found += [Grant(f"audit-pool-{p}", f"/pool/{p}", AUDITOR) for p in access.pools]
    return tuple(found)


def asking_agents(access: Access, role: str) -> tuple[Grant, ...]:
    """What discovery's user and token may do besides: pure.

    Args:
        access: the settings.
        role: name of the role with which Proxmox VE 8 answers for guests' agents.
    """
    if not asks_agents_on_8(access):
        return ()
    pools = tuple(Grant(f"agent-pool-{p}", f"/pool/{p}", role) for p in access.pools)
    return pools or (Grant("agent", "/", role),)


def agent_role(settings: StackSettings) -> str:
    """Name of the role with which Proxmox VE 8 answers for guests' agents."""
    return f"{settings.containers.name_prefix}-guest-agent"


def asks_agents_on_8(access: Access) -> bool:
    """Whether a role of its own is needed."""
    return access.guest_agent and access.release == 8


class PveAccess(pulumi.ComponentResource):
    """Users, tokens and their rights.

    Attributes:
        tokens: the secret part of each token; known when the token has its rights.
    """

    TYPE = "pve-monitoring:components:PveAccess"

    def __init__(self, name: str, args: PveAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._key, self._settings = name, args.settings
        needs = rights.of_access(args.settings.access)
        provider = cluster_provider(f"{name}-proxmoxve", args.settings, args.token, self, Wanted(needs))
        self._child = pulumi.ResourceOptions(parent=self, provider=provider)
        for pool in args.settings.access.pools:
            self._check(pool, provider)
        self._needed = self._roles()
        audit = auditing(args.settings.access)
        # Discovery first: where both tokens are of one user, that one has the rights of both.
        wanted = {
            Secret.PVE_DISCOVERY_TOKEN: (
                args.settings.discovery_token_id,
                audit + asking_agents(args.settings.access, agent_role(args.settings)),
            ),
            Secret.PVE_EXPORTER_TOKEN: (args.settings.exporter_token_id, audit),
        }
        self._users: dict[str, tuple[proxmoxve.UserLegacy, list[proxmoxve.Acl]]] = {}
        self.tokens: Mapping[Secret, pulumi.Output[str]] = {
            secret: self._token(CONSUMERS[secret], ident, grants)
            for secret, (ident, grants) in wanted.items()
        }
        self.register_outputs({"users": sorted(self._users)})

    def _check(self, pool: str, provider: proxmoxve.Provider) -> None:
        """Refuse a pool that the cluster doesn't have: Proxmox VE takes an entry for it, which does nothing.

        In a preview nobody is asked, so that one needs no cluster.
        """
        if pulumi.runtime.is_dry_run():
            return
        options = pulumi.InvokeOptions(parent=self, provider=provider)
        try:
            proxmoxve.get_pool_legacy(pool_id=pool, opts=options)
        # The SDK raises nothing more exact.
        except Exception as error:
            raise pulumi.RunError(
                f"access.pools: the pool {pool} can't be read: {error}\nCorrect its name, or give the token "
                f"of pveProvisioningToken Pool.Audit on /pool/{pool}."
            ) from error

    def _roles(self) -> list[pulumi.Resource]:
        if not asks_agents_on_8(self._settings.access):
            return []
        pulumi.log.warn(_WARNING, self)
        role = proxmoxve.RoleLegacy(
            f"{self._key}-role-agent",
            role_id=agent_role(self._settings),
            privileges=AGENT_8,
            opts=self._child,
        )
        return [role]

    @property
    def _comment(self) -> str:
        return f"Monitoring of {self._settings.cluster.name}. Managed by Pulumi: {pulumi.get_project()}."

    def _user(self, name: str, grants: Sequence[Grant]) -> tuple[proxmoxve.UserLegacy, list[proxmoxve.Acl]]:
        """A user without a password, with which nobody logs in, and its rights; made once."""
        if name not in self._users:
            user = proxmoxve.UserLegacy(
                f"{self._key}-user-{name}", user_id=name, comment=self._comment, opts=self._child
            )
            self._users[name] = user, self._entries(f"user-{name}", grants, user_id=user.user_id)
        return self._users[name]

    def _entries(
        self,
        whose: str,
        grants: Sequence[Grant],
        *,
        user_id: pulumi.Input[str] | None = None,
        token_id: pulumi.Input[str] | None = None,
    ) -> list[proxmoxve.Acl]:
        options = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=self._needed))
        return [
            proxmoxve.Acl(
                f"{self._key}-{whose}-{grant.key}",
                path=grant.path,
                role_id=grant.role,
                propagate=grant.propagate,
                user_id=user_id,
                token_id=token_id,
                opts=options,
            )
            for grant in grants
        ]

    def _token(self, consumer: str, ident: str, grants: Sequence[Grant]) -> pulumi.Output[str]:
        user_id, _, name = ident.partition("!")
        user, rights_of_user = self._user(user_id, grants)
        expires = self._settings.access.token_expires
        token = proxmoxve.user.Token(
            f"{self._key}-token-{consumer}",
            user_id=user.user_id,
            token_name=name,
            comment=self._comment,
            privileges_separation=True,
            expiration_date=f"{expires.isoformat()}T00:00:00Z" if expires else None,
            opts=self._child,
        )
        rights = [*rights_of_user, *self._entries(f"token-{consumer}", grants, token_id=token.id)]
        # Whoever uses the secret waits for the rights: between an old token and a new one nothing is refused.
        whole = pulumi.Output.all(token.value, *(entry.id for entry in rights))
        return pulumi.Output.secret(whole.apply(lambda known: str(known[0]).rpartition("=")[2]))


def with_tokens(settings: StackSettings, secrets: Secrets) -> Secrets:
    """The secrets with the tokens that are made, where the settings ask for them; else as they are given."""
    if not settings.access.manage:
        return secrets
    args = PveAccessArgs(settings=settings, token=secrets[Secret.PVE_PROVISIONING_TOKEN])
    return secrets.replaced(PveAccess("pve-access", args).tokens)
