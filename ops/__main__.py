"""Entry point of the commands: `python -m ops COMMAND`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from docker.errors import DockerException
from pulumi import RunError
from rich.markup import escape

from lab.apply import ApplyError
from lab.environment import LabError
from lab.images.errors import ImageError
from lab.stack_config import StackConfigError
from ops import benchmark, commands, pictures, testing
from ops import guests as installers
from ops.console import OpsError, console
from ops.enroll import command as enrolling
from ops.gameday import command as gameday
from ops.pki import command as pki
from ops.stack import selected
from ops.up import up as bring_up

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
StackName = Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.", default_factory=selected)]


@app.command()
def up(stack: StackName) -> None:
    """Bring a stack up; the dev stack brings its simulated cluster along."""
    bring_up(stack)


@app.command()
def down(stack: StackName) -> None:
    """Remove everything that `up` made."""
    commands.down(stack)


@app.command()
def status(stack: StackName) -> None:
    """Show each part, its URL, and whether it is healthy."""
    commands.status(stack)


@app.command()
def preview(stack: StackName) -> None:
    """Show what `up` would change."""
    commands.preview(stack)


@app.command()
def drift(stack: StackName) -> None:
    """Compare the program with what runs: exit 0 no drift, 2 drift, 1 error."""
    commands.drift(stack)


@app.command()
def guests(stack: StackName) -> None:
    """Write the installers of guests' exporters into build/guests, and say what to do with them."""
    installers.guests(stack)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Lint, types and all layers of tests; arguments go to pytest."""
    sys.exit(testing.test(context.args))


@app.command()
def bench(
    part: Annotated[benchmark.Part, typer.Argument(help="What is measured.")] = benchmark.Part.ALL,
) -> None:
    """Measure what the README promises: the development stack, discovery, rules and dashboards."""
    benchmark.bench(part)


app.command(name="pictures")(pictures.main)
app.command(name="gameday")(gameday.main)
app.command(name="enroll")(enrolling.main)
app.add_typer(pki.app, name="pki")


def main() -> None:
    """Run a command; what people can mend is told in a few lines, without a traceback."""
    try:
        app()
    except (OpsError, RunError, ApplyError, LabError, ImageError, StackConfigError) as error:
        console.print(f"[bold red]✗[/] {escape(str(error))}")
        sys.exit(1)
    except DockerException as error:
        console.print(f"[bold red]✗[/] Docker: {escape(str(error))}\nMend the cause and run it again.")
        sys.exit(1)


if __name__ == "__main__":
    main()
