"""The command line: parse, call one function, print. Exit codes: 0 fine, 2 the user can fix it, 3 outside."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from evenhand import __version__
from evenhand.errors import EvenhandError
from evenhand.workspace.files import is_about_the_disk, is_damaged_parquet
from evenhand.workspace.telemetry import quiet

#: name -> (module, one-line help). The module is imported only when its command runs.
COMMANDS = {
    "init": ("workspace", "Make a workspace with the sample policy."),
    "policy": ("policy", "Add, list, show and compare policy versions."),
    "user": ("user", "Add and list the people who use the app."),
    "ingest": ("ingest", "Take in decisions or rulings, checked row by row."),
    "train": ("train", "Fine-tune, calibrate, evaluate and register a challenger."),
    "models": ("models", "List, show, compare, promote and roll back model versions."),
    "score": ("score", "Score every decision with p_overturn."),
    "flags": ("flags", "Ranked decisions with reasons."),
    "conflicts": ("conflicts", "Near-identical content that was decided differently."),
    "plan": ("plan", "What a draw will find, how wide its intervals will be, what it costs."),
    "draw": ("draw", "Draw a review batch with known inclusion probabilities."),
    "queue": ("queue", "How a review batch stands: who has what, what is open, what nobody can rule on."),
    "panel": ("panel", "The rulings that a panel of experts should check."),
    "estimate": ("estimate", "Error rates with intervals."),
    "change": ("change", "Whether error rates changed, or whether it is noise."),
    "improve": ("improve", "Slices that are wrong more often than others, and what is done about them."),
    "report": (
        "report",
        "A spreadsheet, deck, page or table of error rates, with method and DSA indicators.",
    ),
    "app": ("app", "Open the app on 127.0.0.1."),
    "demo": ("demo", "Run the whole loop on synthetic data."),
    "doctor": ("doctor", "Say what is configured, reachable and stale."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the loop."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cli.commands.{COMMANDS[cmd_name][0]}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"cli.commands.{COMMANDS[cmd_name][0]}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--workspace",
    "-w",
    type=click.Path(file_okay=False, path_type=Path),
    help="Workspace folder; else EVENHAND_WORKSPACE, else the current folder.",
)
@click.version_option(__version__, prog_name="evenhand")
@click.pass_context
def evenhand(ctx: click.Context, workspace: Path | None) -> None:
    """Find the decisions an expert would overturn, and say honestly how often moderation is wrong."""
    ctx.obj = workspace


def main(args: list[str] | None = None) -> int:
    """Entry point of the `evenhand` command; returns the exit code."""
    quiet()
    try:
        code = evenhand.main(args=args, prog_name="evenhand", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except EvenhandError as problem:
        click.echo(f"evenhand: {problem}", err=True)
        return problem.exit_code
    except click.ClickException as problem:
        problem.show()
        return 2
    except click.Abort:
        click.echo("evenhand: stopped", err=True)
        return 130
    except Exception as problem:
        if is_damaged_parquet(problem):
            say = f"evenhand: a Parquet file of the workspace is damaged ({problem}); `evenhand doctor` names it"
            click.echo(say, err=True)
            return 3
        if not isinstance(problem, OSError) or not is_about_the_disk(problem):
            raise
        where = problem.filename or "the disk"
        say = f"evenhand: {where}: {problem.strerror}; free space or fix the permissions, then run again"
        click.echo(say, err=True)
        return 3


if __name__ == "__main__":
    sys.exit(main())
