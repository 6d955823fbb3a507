"""`evenhand app`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from evenhand.commands.common import here_with_store
from evenhand.errors import UserError


@click.command("app")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; else the one in evenhand.toml.")
@click.option("--host", help="Address; else the one in evenhand.toml (127.0.0.1).")
@click.option("--user", help="Who is using it; else EVENHAND_USER, else a picker in the app.")
@click.pass_context
def command(ctx: click.Context, port: int | None, host: str | None, user: str | None) -> None:
    """Open the app. It listens on 127.0.0.1 unless told otherwise."""
    from importlib.util import find_spec

    workspace, _ = here_with_store(ctx)
    if find_spec("streamlit") is None:
        raise UserError('the app needs Streamlit; install it with `pip install -e ".[app]"`')
    main = Path(__file__).resolve().parents[2] / "app" / "main.py"
    address, number = host or workspace.config.app.host, port or workspace.config.app.port
    environment = {**os.environ, "EVENHAND_WORKSPACE": str(workspace.root)}
    if user:
        environment["EVENHAND_USER"] = user
    click.echo(f"Evenhand on http://{address}:{number}  (stop with Ctrl+C)")
    options = [f"--server.address={address}", f"--server.port={number}"]
    os.chdir(main.parents[1])  # its settings lie there
    sys.stdout.flush()
    call = [sys.executable, "-m", "streamlit", "run", str(main), *options]
    os.execve(sys.executable, call, environment)  # the app takes this process over, signals and all
