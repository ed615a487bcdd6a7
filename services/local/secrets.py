"""The system's secrets: random ones made on first use, the same seven for `make run` and for `docker compose up`.

No secret has a default, and none that exists is changed unless somebody asks for it (keys.py). `make run` keeps them in
`.env`; compose keeps each in the volumes of those containers that need it (``python -m services.local.secrets volumes
FOLDER``). This module imports the standard library only, so that it runs before anything is installed.
"""

import base64
import contextlib
import fcntl
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_ENV_FILE_HEADER = "# Made on first use. Never share or track it: whoever has it can sign in as anyone.\n"
_ENV_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


class InvalidSecrets(SystemExit):
    """The secrets that exist cannot be used as they are. Exits with one line that says what to do, never with a value."""


def _new_password() -> str:
    # 256 bits in an alphabet that needs no quoting in SQL, in a shell or in redis.conf.
    return secrets.token_hex(32)


def new_keys() -> str:
    """A `kid:key` pair. Of several in a list, the first signs or encrypts."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode("ascii")
    return f"{secrets.token_hex(4)}:{key}"


# By the name of the file in a volume; in the environment and in `.env` the same name in upper case.
SECRETS: Mapping[str, Callable[[], str]] = {
    "jwt_keys": new_keys,
    "encryption_keys": new_keys,
    "mysql_admin_password": _new_password,
    "migrate_mysql_password": _new_password,
    "auth_mysql_password": _new_password,
    "leaderboard_mysql_password": _new_password,
    "redis_password": _new_password,
}

# Each container is given what it needs and nothing else.
CONSUMERS: Mapping[str, tuple[str, ...]] = {
    "mysql": ("mysql_admin_password",),
    "redis": ("redis_password",),
    "migrate": ("mysql_admin_password", "migrate_mysql_password", "auth_mysql_password", "leaderboard_mysql_password"),
    "auth": ("jwt_keys", "encryption_keys", "auth_mysql_password"),
    "leaderboard": ("jwt_keys", "encryption_keys", "leaderboard_mysql_password", "redis_password"),
}


def ensure_env_file(path: Path) -> dict[str, str]:
    """Make the `.env` file if there is none, append the secrets it lacks, and return every setting in it.

    What is already there stays as it is, comments and other settings included. A name without a value counts as
    lacking. The file is readable by its owner only, and is either wholly there or not at all.
    """
    with _locked(path.parent):
        text = path.read_text(encoding="utf-8") if path.exists() else _ENV_FILE_HEADER
        settings = _parse_env_file(text)
        missing = [name for name in SECRETS if not settings.get(name.upper())]
        if missing:
            if not text.endswith("\n"):
                text += "\n"
            for name in missing:
                settings[name.upper()] = value = SECRETS[name]()
                text += f"{name.upper()}={value}\n"
            _write(path, text, mode=0o600)
        elif path.stat().st_mode & 0o077:
            path.chmod(0o600)
    return settings


def ensure_volumes(root: Path) -> list[str]:
    """Fill each consumer's volume, mounted at ``root/<consumer>``, and return which files were made, as consumer/name.

    A secret that some volume holds is copied to the others that need it; only one that none holds is made.

    Raises InvalidSecrets if a volume is not mounted or two of them disagree.
    """
    existing: dict[str, str] = {}
    for consumer, name in _volume_files():
        if not (root / consumer).is_dir():
            raise InvalidSecrets(f"no volume is mounted at {root / consumer}")
        value = _read(root / consumer / name)
        if value and existing.setdefault(name, value) != value:
            raise InvalidSecrets(f"the volumes hold different values of {name}: restore one, or remove every volume")
    made: list[str] = []
    for consumer, name in _volume_files():
        file = root / consumer / name
        if not _read(file):
            if name not in existing:
                existing[name] = SECRETS[name]()
            # The group may read: a container with a user of its own is put into this group.
            _write(file, existing[name], mode=0o440)
            made.append(f"{consumer}/{name}")
    return made


def change_in_env_file(path: Path, name: str, change: Callable[[str], str]) -> str:
    """Replace the value of one secret in `.env`, and give the new one. Raises InvalidSecrets if there is none to replace."""
    with _locked(path.parent):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        at = [number for number, line in enumerate(lines) if name.upper() in _parse_env_file(line)]
        value = _parse_env_file("".join(lines)).get(name.upper())
        if not value:
            raise InvalidSecrets(f"{path} has no {name.upper()}")
        changed = change(value)
        # The last one counts, so that is the one to replace.
        lines[at[-1]] = f"{name.upper()}={changed}\n"
        _write(path, "".join(lines), mode=0o600)
    return changed


def change_in_volumes(root: Path, name: str, change: Callable[[str], str]) -> str:
    """Replace the value of one secret in each volume that has it, and give the new one.

    What the first of its consumers has is what is changed, and that one is written last: a run that was cut short is simply
    run again. Raises InvalidSecrets if there is none to replace.
    """
    files = [root / consumer / each for consumer, each in _volume_files() if each == name]
    if not (value := _read(files[0])):
        raise InvalidSecrets(f"there is no {name} in {files[0].parent}")
    changed = change(value)
    for file in reversed(files):
        _write(file, changed, mode=0o440)
    return changed


def _volume_files() -> Iterator[tuple[str, str]]:
    return ((consumer, name) for consumer, names in CONSUMERS.items() for name in names)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def _parse_env_file(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for line in text.splitlines():
        if (match := _ENV_LINE.match(line)) is None:
            continue
        name, value = match.groups()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.sub(r"(^|\s+)#.*$", "", value)
        settings[name] = value
    return settings


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: two that start together must not each make secrets of their own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, text: str, *, mode: int) -> None:
    """Replace ``file`` at once: a reader sees the old content or the new, and a crash leaves one of the two."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main(arguments: list[str]) -> None:
    match arguments:
        case ["volumes", root]:
            made = ensure_volumes(Path(root))
            sys.stdout.write(f"secrets made: {', '.join(made)}\n" if made else "every secret exists already\n")
        case ["env", path]:
            ensure_env_file(Path(path))
            sys.stdout.write(f"{path} holds every secret\n")
        case _:
            raise SystemExit("usage: python -m services.local.secrets volumes FOLDER | env FILE")


if __name__ == "__main__":
    main(sys.argv[1:])
