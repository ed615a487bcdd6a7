"""What can go wrong while the system is started or runs, each said in words a person can act on."""

from pathlib import Path


class LocalError(Exception):
    """The message is for the person at the terminal, and is shown without a traceback."""


class PortTaken(LocalError):
    """The gateway's port is in use."""


class AlreadyRunning(LocalError):
    """Another process runs the system out of the same data folder."""


class MissingPrerequisite(LocalError):
    """Something must be installed first. The message says what and how."""


class ProcessDied(LocalError):
    """A process ended that should go on, or did not become ready in time."""

    def __init__(self, name: str, what_happened: str, last_lines: str, log: Path) -> None:
        self.name = name
        self.log = log
        indented = "\n".join(f"    {line}" for line in last_lines.splitlines()) or "    (it logged nothing)"
        super().__init__(f"{name} {what_happened}. Its last lines:\n{indented}\n  The whole log: {log}")
