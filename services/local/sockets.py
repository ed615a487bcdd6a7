"""Paths of Unix sockets: what runs on this machine is reached without TCP, which costs both ends some 20 µs a round trip."""

import os
import shutil
import tempfile
from pathlib import Path

# The kernel keeps a socket's path in 108 bytes, macOS in 104.
LONGEST_SOCKET_PATH = 100


class SocketPath:
    """Where a server puts its socket: in ``folder``, or in one of its own where that has a path too long for one."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._own: Path | None = None

    def get(self) -> Path:
        """The path, the same until it is removed."""
        path = self._folder / self._name
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        if self._own is None:
            self._own = Path(tempfile.mkdtemp(prefix="leaderboard-"))
        return self._own / self._name

    def remove(self) -> None:
        """Remove the folder that was made, if one was."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None
