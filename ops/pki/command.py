"""`pki` itself: what is typed, what is asked, what is written, and what is left to do."""

from __future__ import annotations

import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from components import pki
from components.settings import HOLDERS, Group, LocalDocker
from ops import pulumi_cli
from ops.console import OpsError, confirm, console, note, progress, step, table
from ops.pki import held as config
from ops.pki import show as showing
from ops.pki.names import wanted
from ops.pki.work import Work
from ops.stack import plain_values, selected, stack_file, without_certificates
from ops.up import up as bring_up

app = typer.Typer(add_completion=False, help="Certificates, keys and passwords of a stack.")
StackName = Annotated[
    str | None, typer.Option("--stack", "-s", help="Name of the stack.", show_default="$STACK or dev")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
NoUp = Annotated[bool, typer.Option("--no-up", help="Write only; what runs stays as it is.")]


@app.callback(invoke_without_command=True)
def main(context: typer.Context, stack: StackName = None) -> None:
    """Make what is missing of certificates, keys and passwords, and mend what doesn't fit."""
    context.obj = stack or selected()
    if context.invoked_subcommand is None:
        make(context)


@app.command()
def make(context: typer.Context, stack: StackName = None) -> None:
    """Make what is missing, and mend what doesn't fit; what fits stays as it is."""
    name = stack or context.obj
    cli, work = _begin(name)
    work.mend_authority()
    work.complete()
    if not work.reasons:
        console.print(f"Everything is in {stack_file(name).name} and fits; nothing was changed.")
        return
    _show(work, "What is made")
    _write(cli, work)
    console.print("It is used from the next [bold]pulumi up[/] on.")


def _known(given: list[str] | None) -> list[str] | None:
    if unknown := [one for one in given or () if one not in HOLDERS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: give {', '.join(HOLDERS)}, or nothing for all")
    return given


@app.command()
def renew(
    context: typer.Context,
    who: Annotated[
        list[str] | None,
        typer.Argument(
            callback=_known, metavar=f"[{'|'.join(HOLDERS)}]...", help="Whose; without it everybody's."
        ),
    ] = None,
    *,
    stack: StackName = None,
    authority: Annotated[
        bool, typer.Option("--authority", help="A new authority too; the former stays trusted.")
    ] = False,
    passwords: Annotated[bool, typer.Option("--passwords", help="New passwords too.")] = False,
    yes: Yes = False,
    no_up: NoUp = False,
) -> None:
    """Make new certificates and keys, and bring the stack up with them."""
    cli, work = _begin(stack or context.obj)
    chosen = tuple(who or work.names)
    if authority:
        work.new_authority("renewed; the former one stays trusted until: python -m ops pki forget")
    else:
        work.mend_authority()
    work.complete(chosen, passwords=passwords)
    _show(work, "What will be renewed")
    _finish(cli, work, yes=yes, no_up=no_up)
    _tell(work, chosen, passwords=passwords)


@app.command()
def forget(context: typer.Context, *, stack: StackName = None, yes: Yes = False, no_up: NoUp = False) -> None:
    """Former authorities and passwords are good no longer: when every guest has what was renewed."""
    cli, work = _begin(stack or context.obj)
    work.forget()
    if not work.reasons:
        console.print("There is nothing former; nothing was changed.")
        return
    _show(work, "What will be forgotten")
    note("guests that were not enrolled since that was renewed are lost to Prometheus until they are")
    _finish(cli, work, yes=yes, no_up=no_up)


@app.command()
def show(
    context: typer.Context,
    stack: StackName = None,
    ca: Annotated[
        bool, typer.Option("--ca", help="The authority's certificate alone, for browsers.")
    ] = False,
) -> None:
    """Show the certificates and when they end."""
    name = stack or context.obj
    given = plain_values(name).get("pki")
    held: dict[str, Any] = given if isinstance(given, dict) else {}
    if not ca:
        console.print(showing.certificates(f"Certificates of {name}", held, datetime.now(UTC)))
        return
    if config.CA not in held:
        raise OpsError(f"{name} has no authority yet; run: python -m ops pki --stack {name}")
    sys.stdout.write(pki.certificates(held[config.CA])[0])


# --- the steps -----------------------------------------------------------------------------------


def _begin(name: str) -> tuple[pulumi_cli.Pulumi, Work]:
    settings = without_certificates(name)
    if not settings.tls.groups:
        raise OpsError(
            f"tls is off in {stack_file(name).name}: nobody would use certificates; remove that first"
        )
    cli = pulumi_cli.require(plugins=False)
    with progress("  reading the stack's config"):
        held = config.read(cli, name)
    return cli, Work(name, held, wanted(settings), datetime.now(UTC))


def _show(work: Work, title: str) -> None:
    made = table(title, "what", "why")
    for what, why in work.reasons:
        made.add_row(what, escape(why))
    console.print(made)


def _write(cli: pulumi_cli.Pulumi, work: Work) -> None:
    with progress("  writing the stack's config"):
        config.write(cli, work.stack, work.made)
    console.print(f"[green]✓[/] written into {stack_file(work.stack).name}; commit it")


def _finish(cli: pulumi_cli.Pulumi, work: Work, *, yes: bool, no_up: bool) -> None:
    """Ask, write, and bring the stack up."""
    then = "" if no_up else ", and bring the stack up"
    confirm(f"Write this into {stack_file(work.stack).name}{then}?", yes=yes)
    _write(cli, work)
    if no_up:
        console.print("It is used from the next [bold]pulumi up[/] on.")
        return
    _up(cli, work.stack, without_certificates(work.stack).docker, yes=yes)


def _up(cli: pulumi_cli.Pulumi, name: str, docker: object, *, yes: bool) -> None:
    if isinstance(docker, LocalDocker):
        bring_up(name)
        return
    cli.ensure_plugins()
    step(f"pulumi up ({name})")
    if cli.run("up", "--stack", name, "--suppress-outputs", *(["--yes"] if yes else [])) != 0:
        raise OpsError(
            "pulumi up failed or was declined (see above). What is new stands in the stack's file: mend the "
            f"cause and run pulumi up --stack {name}; there is no need to renew it again"
        )


def _tell(work: Work, chosen: Collection[str], *, passwords: bool) -> None:
    """What is left to do by people."""
    former = work.held.certificates.get(Group.GUESTS)
    if Group.GUESTS in chosen and former is not None:
        what = "certificate and password" if passwords else "certificate"
        console.print(
            f"Left to do: guests keep their former {what} until they are enrolled again, which has to be "
            f"before {pki.expiry(former):%Y-%m-%d}:\n"
            f"  make guests STACK={work.stack}, and distribute the installers, or\n"
            f"  python -m ops enroll --stack {work.stack} --tag TAG --again"
        )
    if passwords or len(work.authorities) > 1:
        console.print(
            "When every host and guest has what is new, former authorities and passwords can go:\n"
            f"  python -m ops pki forget --stack {work.stack}"
        )
