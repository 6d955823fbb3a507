"""Refuses and records every connection to another machine; tests put this folder first on PYTHONPATH."""

import os
import socket

_LOG = os.environ.get("EVENHAND_SOCKET_LOG")
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}


def _refuse(what: str) -> None:
    if _LOG:
        with open(_LOG, "a", encoding="utf-8") as log:
            log.write(f"{what}\n")
    raise OSError(f"network refused by the test: {what}")


if _LOG:
    _connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def _host(address: object) -> object:
        return address[0] if isinstance(address, tuple) else ""  # a path is a local socket

    def connect(self: socket.socket, address: object) -> None:
        """Connect to loopback only."""
        if _host(address) not in _LOOPBACK:
            _refuse(f"connect {address}")
        return _connect(self, address)

    def connect_ex(self: socket.socket, address: object) -> int:
        """Connect to loopback only."""
        if _host(address) not in _LOOPBACK:
            _refuse(f"connect_ex {address}")
        return _connect_ex(self, address)

    _sendto, _gethostbyname = socket.socket.sendto, socket.gethostbyname

    def sendto(self: socket.socket, data: bytes, *rest: object) -> object:
        """Send a datagram to loopback only."""
        if _host(rest[-1]) not in _LOOPBACK:
            _refuse(f"sendto {rest[-1]}")
        return _sendto(self, data, *rest)

    def gethostbyname(host: str) -> str:
        """Resolve loopback names only."""
        if host not in _LOOPBACK and host != socket.gethostname():
            _refuse(f"gethostbyname {host}")
        return _gethostbyname(host)

    def getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        """Resolve loopback names only."""
        if host not in _LOOPBACK and host != socket.gethostname():
            _refuse(f"getaddrinfo {host}")
        return _getaddrinfo(host, *args, **kwargs)

    socket.socket.sendto = sendto
    socket.gethostbyname = gethostbyname
    socket.socket.connect = connect
    socket.socket.connect_ex = connect_ex
    socket.getaddrinfo = getaddrinfo
