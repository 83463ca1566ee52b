"""Loaded by Python itself when this folder is on PYTHONPATH: no socket of the process can reach another machine."""

import socket
from typing import NoReturn


def _refuse(*_: object) -> NoReturn:
    raise OSError("the network is cut off for this test")


socket.socket.connect = _refuse  # type: ignore[assignment, method-assign]
socket.socket.connect_ex = _refuse  # type: ignore[assignment, method-assign]
socket.getaddrinfo = _refuse  # type: ignore[assignment]
