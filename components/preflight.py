"""Looks at the cluster before anything is made on it, and says all that is wrong at once.

Only an `up` asks: a preview needs no cluster. What isn't there yet isn't begun where it can't be ended; what
is there already goes on with a warning, so that an outage or a right that was taken back afterwards never
keeps other changes from being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import rights
from components.preflight_machine import MachineCheck
from components.pve_api import Api, NotAccepted, Refused, Token, TooOld
from components.rights import Need
from components.settings import ProxmoxDocker, Secret, StackSettings

SECRET = Secret.PVE_PROVISIONING_TOKEN


@dataclass(frozen=True)
class Wanted:
    """What a provider is to make on the cluster.

    Attributes:
        needs: privileges that it takes.
        nodes: the members that its resources name.
        machine: a VM; None for something else.
        name: of that VM.
        setting: where the stack configuration describes it.
    """

    needs: tuple[Need, ...]
    nodes: tuple[str, ...] = ()
    machine: ProxmoxDocker | None = None
    name: str = ""
    setting: str = "docker"


@dataclass(frozen=True)
class Findings:
    """What was seen: `refused` keeps anything from being made, `warned` is only said."""

    refused: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def checked(token: pulumi.Input[str], settings: StackSettings, wanted: Wanted) -> pulumi.Output[str]:
    """The token, once the cluster was looked at with it; in a preview the token at once.

    Raises:
        pulumi.RunError: inside the Output: what is asked for can't be made; nothing of it was.
    """
    known = pulumi.Output.secret(token)
    if pulumi.runtime.is_dry_run():
        return known

    async def look(text: str) -> str:
        _tell(await asyncio.to_thread(findings, text, settings, wanted))
        return text

    return known.apply(look)


def _tell(found: Findings) -> None:
    for text in found.warned:
        pulumi.log.warn(text)
    if found.refused:
        listed = "\n".join(f"  - {text}" for text in found.refused)
        raise pulumi.RunError(f"the cluster isn't ready for this; nothing was made on it:\n{listed}")


def findings(text: str, settings: StackSettings, wanted: Wanted) -> Findings:
    """Ask the cluster.

    Args:
        text: the whole token, `user@realm!name=uuid`.
        settings: of the stack.
        wanted: what is to be made.
    """
    endpoint = settings.cluster.endpoints[0]
    try:
        token = Token.parse(text)
        # The provider asks the first member only.
        api = Api(settings.cluster, token, [endpoint], Path())
        client = api.connect()
        problems = _of_machine(api, client, wanted)
        lacking = _lacking(api, token, wanted.needs)
    except TooOld as error:
        return Findings(refused=(str(error),))
    except NotAccepted as error:
        return _not_looked(f"{error}; give another: pulumi config set --secret {SECRET}")
    except Refused as error:
        return _not_looked(str(error))
    warned = _release_differs(api.release, settings)
    if problems is None:
        return Findings(warned=(*warned, *lacking))
    return Findings(refused=(*problems, *lacking), warned=warned)


def _not_looked(why: str) -> Findings:
    # Whether it is there already nobody knows; what has to be changed fails by itself.
    return Findings(warned=(f"{SECRET}: {why}\nNothing can be changed on the cluster now.",))


def _of_machine(api: Api, client: Any, wanted: Wanted) -> list[str] | None:
    """What keeps the VM from being made; None where none is to be made."""
    if wanted.machine is None:
        return None
    check = MachineCheck(api, client, wanted.machine, wanted.name, wanted.setting)
    return None if check.made else check.problems()


def _release_differs(release: int, settings: StackSettings) -> tuple[str, ...]:
    said = settings.access.release
    if not settings.access.manage or (release >= 9) == (said >= 9):
        return ()
    return (f"access.release is {said}, but the cluster runs Proxmox VE {release}; write {min(release, 9)}",)


def _lacking(api: Api, token: Token, needs: Sequence[Need]) -> tuple[str, ...]:
    granted = {path: api.privileges(path) for path in sorted({need.path for need in needs})}
    lines = "".join(f"\n      {line}" for line in rights.missing(needs, granted))
    advice = f"pveum acl modify PATH --users {token.user} --tokens '{token.id}' --roles ROLE"
    text = (
        f"{token.id} ({SECRET}) lacks:{lines}\n    Give a role with them to the user and the token: {advice}"
    )
    return (text,) if lines else ()
