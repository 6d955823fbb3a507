"""`evenhand app`."""

from __future__ import annotations

import logging
import os
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
    os.environ["EVENHAND_WORKSPACE"] = str(workspace.root)
    if user:
        os.environ["EVENHAND_USER"] = user
    os.chdir(main.parents[1])  # its settings lie there
    from streamlit.web import cli as streamlit

    logging.getLogger("streamlit.runtime.caching").setLevel(
        logging.ERROR
    )  # there is no runtime yet, as it would say

    import app.views.conflicts
    import app.views.error_rates
    import app.views.flags
    import app.views.review  # noqa: F401  brought in now, so that the first visitor does not wait for it

    click.echo(f"Evenhand on http://{address}:{number}  (stop with Ctrl+C)")
    options = ["run", str(main), f"--server.address={address}", f"--server.port={number}"]
    streamlit.main(options, standalone_mode=False)
