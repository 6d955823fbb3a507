"""The command `evenhand app`: opens the app."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import pkgutil
from importlib.util import find_spec
from pathlib import Path

import click

from cli.common import here_with_store
from evenhand.errors import UserError


@click.command("app")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; else the one in evenhand.toml.")
@click.option("--host", help="Address; else the one in evenhand.toml (127.0.0.1).")
@click.option("--user", help="Who is using it; else EVENHAND_USER, else a picker in the app.")
@click.pass_context
def command(ctx: click.Context, port: int | None, host: str | None, user: str | None) -> None:
    """Open the app. It listens on 127.0.0.1 unless told otherwise."""
    workspace, store = here_with_store(ctx)
    if find_spec("streamlit") is None:
        raise UserError('the app needs Streamlit; install it with `pip install -e ".[app]"`')
    if user:
        store.user(user)
    store.close()
    import app

    os.chdir(Path(app.__file__).parent)  # Streamlit reads `.streamlit/config.toml` where it starts
    from app.server import listen, serve

    address, number = host or workspace.config.app.host, port or workspace.config.app.port
    with listen(address, number) as listening:
        os.environ["EVENHAND_WORKSPACE"] = str(workspace.root)
        if user:
            os.environ["EVENHAND_USER"] = user
        _bring_in_pages()
        click.echo(f"Evenhand on http://{address}:{number}  (stop with Ctrl+C)")
        if not _this_machine_only(listening.getsockname()[0]) and not os.environ.get("EVENHAND_USER"):
            click.echo(
                f"warning: {address} can be reached from other machines, and whoever reaches it can pick who they are;"
                " put a proxy that signs people in before it, or give --user",
                err=True,
            )
        serve(listening)


def _this_machine_only(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _bring_in_pages() -> None:
    """Import what the pages need now, so that the first visitor does not wait for it."""
    # it would warn that there is no runtime yet
    logging.getLogger("streamlit.runtime.caching").setLevel(logging.ERROR)
    import app.views

    for page in pkgutil.iter_modules(app.views.__path__):
        importlib.import_module(f"app.views.{page.name}")
    importlib.import_module("pyarrow.pandas_compat")  # the first table needs it
