"""Run a command that dies with the process that started it: ``leash.py <signal> <parent pid> <command> [argument…]``.

A file run by path, not a module imported: it must start in milliseconds, and becomes the command by exec, so that its
process id is the command's. It does between fork and exec what ``preexec_fn`` would do, which is not safe to use in a
program with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arm the kernel's parent-death signal, then become the command."""
    death_signal, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        # Survives exec. Elsewhere there is no such thing: the next start ends what was left behind (see state.py).
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)
    # A child inherits what its parent ignores; these must work in every server.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  # what this file is for
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


main()
