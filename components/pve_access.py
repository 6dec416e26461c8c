"""Who reads the cluster: users, API tokens and ACL entries for discovery and pve-exporter, and nothing more.

Proxmox VE intersects a token's rights with its user's (privilege separation): both get the same entries. An
entry on a deeper path replaces what is inherited there, so that roles that add up stand on the same path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_proxmoxve as proxmoxve

from components.cluster_provider import cluster_provider
from components.settings import Access, Secret, Secrets, StackSettings

AUDITOR = "PVEAuditor"
# VM.GuestAgent.Audit, which reads addresses only, came with 9; PVEAuditor has it there.
AGENT_8 = ("VM.Monitor",)

CONSUMERS = {Secret.PVE_DISCOVERY_TOKEN: "discovery", Secret.PVE_EXPORTER_TOKEN: "exporter"}

_WARNING = (
    "access.guestAgent on Proxmox VE 8 grants VM.Monitor: whoever has one of the two tokens can run commands "
    "in guests. Without it, guests are found by their static addresses (ipconfigN) only. Proxmox VE 9 "
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


def grants(access: Access, agent_role: str) -> tuple[Grant, ...]:
    """What the users and the tokens may do: pure.

    Args:
        access: the settings.
        agent_role: name of the role with which Proxmox VE 8 answers for guests' agents.
    """
    found = [Grant("audit", "/", AUDITOR, propagate=not access.pools)]
    if access.pools:
        found += [Grant(f"audit-{room}", f"/{room}", AUDITOR) for room in ("nodes", "storage")]
        found += [Grant(f"audit-pool-{p}", f"/pool/{p}", AUDITOR) for p in access.pools]
    if asks_agents_on_8(access):
        pools = [Grant(f"agent-pool-{p}", f"/pool/{p}", agent_role) for p in access.pools]
        found += pools or [Grant("agent", "/", agent_role)]
    return tuple(found)


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
        provider = cluster_provider(f"{name}-proxmoxve", args.settings, args.token, self)
        self._child = pulumi.ResourceOptions(parent=self, provider=provider)
        for pool in args.settings.access.pools:
            self._check(pool, provider)
        self._grants = grants(args.settings.access, agent_role(args.settings))
        self._needed = self._roles()
        idents = {
            Secret.PVE_DISCOVERY_TOKEN: args.settings.discovery_token_id,
            Secret.PVE_EXPORTER_TOKEN: args.settings.exporter_token_id,
        }
        # One user may have both tokens: it is made once, and has its rights once.
        self._users = {
            user: self._user(user) for user in sorted({i.partition("!")[0] for i in idents.values()})
        }
        rights = {
            user: self._entries(f"user-{user}", user_id=made.user_id) for user, made in self._users.items()
        }
        self.tokens: Mapping[Secret, pulumi.Output[str]] = {
            secret: self._token(CONSUMERS[secret], ident, rights[ident.partition("!")[0]])
            for secret, ident in idents.items()
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

    def _user(self, name: str) -> proxmoxve.UserLegacy:
        """A user without a password: nobody logs in with it."""
        return proxmoxve.UserLegacy(
            f"{self._key}-user-{name}", user_id=name, comment=self._comment, opts=self._child
        )

    def _entries(
        self,
        whose: str,
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
            for grant in self._grants
        ]

    def _token(self, consumer: str, ident: str, rights_of_user: list[proxmoxve.Acl]) -> pulumi.Output[str]:
        user, _, name = ident.partition("!")
        expires = self._settings.access.token_expires
        token = proxmoxve.user.Token(
            f"{self._key}-token-{consumer}",
            user_id=self._users[user].user_id,
            token_name=name,
            comment=self._comment,
            privileges_separation=True,
            expiration_date=f"{expires.isoformat()}T00:00:00Z" if expires else None,
            opts=self._child,
        )
        rights = [*rights_of_user, *self._entries(f"token-{consumer}", token_id=token.id)]
        # Whoever uses the secret waits for the rights: between an old token and a new one nothing is refused.
        whole = pulumi.Output.all(token.value, *(entry.id for entry in rights))
        return pulumi.Output.secret(whole.apply(lambda known: str(known[0]).rpartition("=")[2]))


def with_tokens(settings: StackSettings, secrets: Secrets) -> Secrets:
    """The secrets with the tokens that are made, where the settings ask for them; else as they are given."""
    if not settings.access.manage:
        return secrets
    args = PveAccessArgs(settings=settings, token=secrets[Secret.PVE_PROVISIONING_TOKEN])
    return secrets.replaced(PveAccess("pve-access", args).tokens)
