"""TCP ports on this machine: which are free and which are taken."""

import socket

from services.local.errors import PortTaken

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # if the one who starts the gateway asks for it


def free_port() -> int:
    """A port on 127.0.0.1 that nobody else is handed in the next minute.

    Closing a socket that was only bound gives its port back at once, so that two stacks starting together could be
    handed the same one. A connection that the listening side closed first stays in TIME_WAIT there: the kernel then
    skips the port when it picks one, while a server that asks for it by number (with SO_REUSEADDR, as all of ours do)
    gets it.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        port: int = listener.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)
    return port


def accepts_connections(port: int, address: str = LOOPBACK) -> bool:
    """Whether something listens there now."""
    try:
        with socket.create_connection((address, port), timeout=0.5):
            return True
    except OSError:
        return False


def require_free(port: int, address: str, command: str) -> None:
    """Raise PortTaken, with the ``command`` that would choose another port, unless we could listen on ``port``."""
    advice = f"choose another with PORT={_another(port)} {command}"
    # ::1 too: the other program would answer to http://localhost in our place.
    if accepts_connections(port) or accepts_connections(port, "::1"):
        raise PortTaken(f"Port {port} is taken; {advice}")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            raise PortTaken(f"Port {port} is only for root; {advice}") from None
        except OSError as error:
            raise PortTaken(f"Port {port} cannot be used ({error.strerror}); {advice}") from None


def _another(port: int) -> int:
    return port + 1 if 1024 <= port < 65535 else 8080
