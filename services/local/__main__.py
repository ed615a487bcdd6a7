"""`python -m services.local`: what the Makefile's targets call."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from services.local import ROOT, prerequisites
from services.local.errors import LocalError
from services.local.maintenance import maintain
from services.local.run import run
from services.local.seed.command import seed
from services.local.seed.target import find_target
from services.local.terminal import Progress, complain, stop_signals


def main() -> int:
    """Do what the command line says. 0 when done or stopped, 1 when something went wrong, which is then said."""
    arguments = _parser().parse_args()
    try:
        match arguments.command:
            case "run" | "dev":
                run(arguments.folder, arguments.env_file, reload=arguments.command == "dev")
            case "prerequisites":
                progress = Progress()
                try:
                    prerequisites.require(prerequisites.OF[arguments.purpose], progress.step)
                finally:
                    progress.done()
            case "seed":
                target = find_target(arguments.folder, arguments.env_file)
                complain(f"Filling {target.database} at {target.host}:{target.port}")
                with stop_signals():
                    seed(target, arguments.players, arguments.sessions)
            case _:
                return _maintain(arguments)
    except LocalError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("Stopped")
        return 130
    return 0


def _maintain(arguments: argparse.Namespace) -> int:
    """Run the service's own tool that the command line names."""
    tool = partial(maintain, folder=arguments.folder, env_file=arguments.env_file)
    match arguments.command:
        case "boards":
            told = ["--dry-run"] if arguments.dry_run else []
            if arguments.delete:
                return tool("operate.boards", arguments=["--delete", arguments.delete])
            return tool("operate.boards", arguments=[*told, *(["-"] if arguments.file else [])], reads=arguments.file)
        case "import":
            told = ["--dry-run"] if arguments.dry_run else []
            size = arguments.file.stat().st_size if arguments.file.is_file() else 0
            return tool("operate.imports", arguments=[*told, "--size", str(size), "-"], reads=arguments.file)
        case "operate":
            return tool("operate", service="auth", arguments=arguments.arguments)
        case "erase":
            return tool("operate.erase", arguments=[str(arguments.user_id)])
        case command:
            return tool(f"operate.{command}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.local", description="The whole system on this machine, without containers."
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".local", help="where data, logs and state are (default: .local)")
    parser.add_argument(
        "--env-file", type=Path, default=ROOT / ".env", help="where the secrets are, made on first use (default: .env)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run it until Ctrl-C; PORT and BIND_ADDRESS choose where it listens (8080, 127.0.0.1)")
    commands.add_parser("dev", help="the same, with reload on change and the services' logs on the terminal")
    needed = commands.add_parser("prerequisites", help="install programs that are in no lock file, or say which")
    needed.add_argument("purpose", choices=sorted(prerequisites.OF))
    seeding = commands.add_parser("seed", help="fill a running system with realistic data")
    seeding.add_argument("--players", type=int, default=os.environ.get("PLAYERS") or "200000", help="players to add (PLAYERS)")
    seeding.add_argument(
        "--sessions", type=int, default=os.environ.get("SESSIONS") or "1000000", help="game sessions to add (SESSIONS)"
    )
    commands.add_parser("rebuild", help="build the ranking index of a running system anew, while it goes on")
    boards = commands.add_parser("boards", help="make and change the boards that a file names, in a running system")
    boards.add_argument("file", type=Path, nargs="?", help="a TOML file (default: the boards that a new system begins with)")
    boards.add_argument("--dry-run", action="store_true", help="tell what would be done, and change nothing")
    boards.add_argument("--delete", metavar="BOARD", help="delete a board that is closed, and its standings")
    importing = commands.add_parser("import", help="import game sessions of a file into a running system")
    importing.add_argument("file", type=Path, help="an NDJSON or CSV file")
    importing.add_argument("--dry-run", action="store_true", help="tell what would be done, and store nothing")
    operating = commands.add_parser("operate", help="do what an operator may to accounts: services/auth/operate.py")
    operating.add_argument("arguments", nargs=argparse.REMAINDER, help="what is to be done, and to whom")
    erasing = commands.add_parser("erase", help="erase a player from every board")
    erasing.add_argument("user_id", type=int, help="the number that the account had")
    commands.add_parser("check", help="hold a running system's sessions, standings and ranking index against each other")
    return parser


if __name__ == "__main__":
    sys.exit(main())
