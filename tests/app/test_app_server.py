"""Tests the app's server: where it listens, what it refuses, and that it asks no other machine."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.server import listen
from cli.main import main
from evenhand.errors import UserError
from evenhand.records.people import User
from evenhand.store import Store
from evenhand.workspace.workspace import create_workspace


@pytest.fixture
def ws(tmp_path):
    ws = create_workspace(tmp_path / "w")
    with Store.open(ws.store_url) as store:
        store.add_user(User(user_id="ann", role="ml"))
    return ws


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(ws, log: Path, *words: str):
    """`evenhand app` with every socket to another machine refused; gives its port, then its output."""
    port, said = free_port(), log.with_suffix(".out")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1] / "guard"),
        "EVENHAND_SOCKET_LOG": str(log),
        "PYTHONUNBUFFERED": "1",
    }
    call = [sys.executable, "-m", "cli", "-w", str(ws.root), "app", "--port", str(port), *words]
    with said.open("wb") as out:
        server = subprocess.Popen(call, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None and time.monotonic() < deadline, said.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield port, said
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def test_small_answers_leave_at_once():
    async def no_delay() -> int:
        found = asyncio.get_running_loop().create_future()

        async def greet(_, writer: asyncio.StreamWriter) -> None:
            found.set_result(
                writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(greet, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            answer = await found
            writer.close()
        return answer

    assert asyncio.run(no_delay())


@pytest.mark.slow
def test_the_app_is_on_this_machine_only_and_asks_nobody(ws, tmp_path):
    with running(ws, tmp_path / "sockets.log", "--user", "ann") as (port, said):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/flags", timeout=10) as page:
            html = page.read().decode()
        for script in re.findall(r'src="\./(static/js/index[^"]+)"', html):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{script}", timeout=10) as found:
                assert found.status == 200 and "immutable" in found.headers["Cache-Control"]
        with pytest.raises(urllib.error.HTTPError) as refused:  # Streamlit's API for programs stays off
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/agent/interact", timeout=10)
        refused.value.close()
        assert refused.value.code >= 400
    assert "Evenhand on http://127.0.0.1" in said.read_text() and "warning" not in said.read_text()
    assert not (tmp_path / "sockets.log").exists()


@pytest.mark.slow
def test_an_address_that_others_reach_is_warned_of(ws, tmp_path):
    with running(ws, tmp_path / "sockets.log", "--host", "0.0.0.0") as (_, said):
        assert "whoever reaches it can pick who they are" in said.read_text()


def test_a_taken_port_says_what_to_do(ws, capsys, monkeypatch):
    monkeypatch.chdir(Path.cwd())  # the command changes to the app's folder
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["-w", str(ws.root), "app", "--port", str(port), "--user", "ann"]) == 2
    assert f"127.0.0.1:{port}: cannot be listened on" in (said := capsys.readouterr().err)
    assert "another --port" in said


def test_a_strange_address_says_what_to_do():
    with pytest.raises(UserError, match="name one with --host"):
        listen("no such host", 8501)


def test_an_unknown_user_is_refused_before_anything_is_served(ws, capsys):
    assert main(["-w", str(ws.root), "app", "--user", "bob"]) == 2
    assert "evenhand user add bob" in capsys.readouterr().err
