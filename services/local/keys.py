"""Rotating keys: `python -m services.local.keys add|promote|retire|replace env FILE | volumes FOLDER [encryption_keys]`.

Those of access tokens, or with `encryption_keys` those of the secrets in the database.

A rotation is three steps, with a restart of the services after each. In between, services that have restarted and services that
have not understand each other's tokens, so nobody is signed out:

add       one more key is accepted, and signs nothing yet
promote   it signs, and the one before is still accepted
retire    an access token's lifetime later: it alone is accepted

`replace` is for a key that leaked: a new one alone, and no access token from before is good any more. Refresh tokens are not
signed, so the page renews its access token by itself. What was encrypted with a key that is gone cannot be read any more: such
a key is retired when upkeep has encrypted everything anew.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from services.local.secrets import InvalidSecrets, change_in_env_file, change_in_volumes, new_keys

# What a key that comes first does with what.
USES: Mapping[str, str] = {"jwt_keys": "signs", "encryption_keys": "encrypts"}


def add(keys: list[str]) -> list[str]:
    """Accept one more key. The last is the newest."""
    return [*keys, new_keys()]


def promote(keys: list[str]) -> list[str]:
    """Sign with the newest. Raises InvalidSecrets when there is none but the one that signs."""
    if len(keys) < 2:
        raise InvalidSecrets("there is one key only, and it signs: add one first")
    return [keys[-1], *keys[:-1]]


def retire(keys: list[str]) -> list[str]:
    """Accept none but the one that signs."""
    return keys[:1]


def replace(_: list[str]) -> list[str]:
    """A new key alone."""
    return [new_keys()]


STEPS: Mapping[str, Callable[[list[str]], list[str]]] = {"add": add, "promote": promote, "retire": retire, "replace": replace}


def main(arguments: list[str]) -> None:
    """Take one step of a rotation, and say which keys are live now, by their names alone."""
    match arguments:
        case [step, kind, path, *named] if step in STEPS and kind in {"env", "volumes"} and len(named) <= 1:
            secret = named[0] if named else "jwt_keys"
        case _:
            secret = ""
    if secret not in USES:
        raise SystemExit(f"usage: python -m services.local.keys {'|'.join(STEPS)} env FILE | volumes FOLDER [{'|'.join(USES)}]")
    change = change_in_env_file if kind == "env" else change_in_volumes
    first, *accepted = [pair.partition(":")[0] for pair in change(Path(path), secret, _changing(STEPS[step])).split(",")]
    sys.stdout.write(f"{first} {USES[secret]}; accepted too: {', '.join(accepted) or 'none'}. Restart the services.\n")


def _changing(step: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda keys: ",".join(step([pair.strip() for pair in keys.split(",") if pair.strip()]))


if __name__ == "__main__":
    main(sys.argv[1:])
