"""The command `evenhand init`: makes a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from cli.common import who
from evenhand.store import Store
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.workspace import create_workspace


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--sample-policy/--no-sample-policy", default=True, help="Add the sample policy.")
def command(folder: Path, sample_policy: bool) -> None:
    """Make a workspace in FOLDER with the sample policy."""
    workspace = create_workspace(folder)
    store = Store.open(workspace.store_url)
    for policy, text in sample_policies() if sample_policy else ():
        store.add_policy(policy, text, by=who())
    click.echo(f"workspace made at {workspace.root}")
    for policy in store.policies():
        click.echo(f"  policy {policy.version}, in force from {policy.effective_from}")
    click.echo("next: evenhand ingest decisions FILE")
