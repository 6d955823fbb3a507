"""Gives the tests a PostgreSQL server: the named one, one that answers, or a private one for this run."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DEFAULT = "postgresql+psycopg://postgres@127.0.0.1:5432"


def postgres_server() -> Iterator[str]:
    """The server's url without a database; skips the test, and says why, if there is no server."""
    named = os.environ.get("EVENHAND_TEST_POSTGRES")
    if named != "private" and (named or _answers(DEFAULT)):
        yield named or DEFAULT
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL server answers and none is installed; set EVENHAND_TEST_POSTGRES")
    prefix = _as_postgres()
    with tempfile.TemporaryDirectory(prefix="evenhand-pg-", dir="/tmp") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        if prefix:
            shutil.chown(folder, "postgres")
        data, binaries = f"{folder}/data", programs[-1]
        call = [*prefix, str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
        subprocess.run(call, check=True, capture_output=True, cwd="/")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*prefix, str(binaries / "pg_ctl"), "-D", data, "-l", f"{folder}/log", "-w"]
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd="/")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url.replace("+psycopg", "") + "/postgres", connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _as_postgres() -> list[str]:
    """The start of a command as the user postgres: PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
