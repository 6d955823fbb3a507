"""The server of the app: Streamlit's ASGI app on our own socket, so that small answers are sent at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import streamlit
import uvicorn

from evenhand.errors import UserError

MAIN = Path(__file__).with_name("main.py")
_PING_SECONDS = 30
_MESSAGE_BYTES = 200_000_000  # Streamlit's own limit
_GOODBYE_SECONDS = 3


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens at `address` and `port`; UserError if that is not possible.

    The protocol is set to TCP: only then asyncio turns Nagle's algorithm off. With it on, a page of a hundred
    small files waits 40 ms for each file. `streamlit run` does not set the protocol.
    """
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, place = found[0]
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as problem:
        raise UserError(
            f"{address}: is no address of this machine ({problem.strerror}); name one with --host"
        ) from problem
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen()
    except OSError as problem:
        listening.close()
        raise UserError(
            f"{address}:{port}: cannot be listened on ({problem.strerror}); stop what runs there, or name another"
            " --port or --host"
        ) from problem
    return listening


def serve(listening: socket.socket) -> None:
    """Serve the app on this socket until it is stopped."""
    address, port = listening.getsockname()[:2]
    # Streamlit accepts a browser's messages only from these places
    os.environ["STREAMLIT_SERVER_ADDRESS"], os.environ["STREAMLIT_SERVER_PORT"] = address, str(port)
    config = uvicorn.Config(
        streamlit.App(MAIN),
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])
