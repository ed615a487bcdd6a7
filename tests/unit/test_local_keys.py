"""Rotating keys: at every step, services that have restarted and services that have not accept each other's tokens."""

from itertools import pairwise
from pathlib import Path

import pytest

from services.common.tokens import KeyRing
from services.local.keys import main
from services.local.secrets import CONSUMERS, InvalidSecrets, ensure_env_file, ensure_volumes


@pytest.fixture(params=["env", "volumes"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """Where the secrets are: `.env`, or the volumes of containers."""
    if request.param == "env":
        ensure_env_file(tmp_path / ".env")
        return "env", tmp_path / ".env"
    for consumer in CONSUMERS:
        (tmp_path / consumer).mkdir()
    ensure_volumes(tmp_path)
    return "volumes", tmp_path


def live(place: tuple[str, Path]) -> KeyRing:
    """The keys as a service would read them."""
    kind, path = place
    if kind == "env":
        return KeyRing.parse(ensure_env_file(path)["JWT_KEYS"])
    rings = [KeyRing.parse((path / consumer / "jwt_keys").read_text()) for consumer in ("auth", "leaderboard")]
    assert rings[0] == rings[1]
    return rings[0]


def test_a_rotation_goes_in_steps_that_understand_each_other(place: tuple[str, Path]) -> None:
    kind, path = place
    states = [live(place)]
    for step in ("add", "promote", "retire"):
        main([step, kind, str(path)])
        states.append(live(place))
    before, added, promoted, after = states
    for one, other in pairwise(states):
        assert one.signing_kid in other.keys
        assert other.signing_kid in one.keys
    assert list(added.keys) == [before.signing_kid, after.signing_kid]
    assert list(promoted.keys) == [after.signing_kid, before.signing_kid]
    assert list(after.keys) == [after.signing_kid] != [before.signing_kid]


def test_keys_of_encryption_are_rotated_alone(place: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    kind, path = place
    file = path if kind == "env" else path / "auth" / "encryption_keys"

    def read() -> str:
        return ensure_env_file(path)["ENCRYPTION_KEYS"] if kind == "env" else file.read_text()

    signing, first = live(place), KeyRing.parse(read())
    for step in ("add", "promote"):
        main([step, kind, str(path), "encryption_keys"])
    both = KeyRing.parse(read())
    assert list(both.keys)[1:] == [first.signing_kid] != list(both.keys)[:1]
    assert f"{both.signing_kid} encrypts; accepted too: {first.signing_kid}" in capsys.readouterr().out
    assert live(place) == signing
    with pytest.raises(SystemExit, match="usage"):
        main(["add", kind, str(path), "redis_password"])


def test_an_installation_that_had_none_is_given_keys_of_encryption(tmp_path: Path) -> None:
    ensure_env_file(tmp_path / ".env")
    before = [line for line in (tmp_path / ".env").read_text().splitlines() if "ENCRYPTION_KEYS" not in line]
    (tmp_path / ".env").write_text("\n".join(before))
    assert KeyRing.parse(ensure_env_file(tmp_path / ".env")["ENCRYPTION_KEYS"])
    assert (tmp_path / ".env").read_text().splitlines()[: len(before)] == before
    for consumer in CONSUMERS:
        (tmp_path / consumer).mkdir()
    ensure_volumes(tmp_path)
    holders = ["auth/encryption_keys", "leaderboard/encryption_keys"]
    for name in holders:
        (tmp_path / name).unlink()
    assert ensure_volumes(tmp_path) == holders


def test_after_a_leak_no_old_key_is_accepted(place: tuple[str, Path]) -> None:
    kind, path = place
    before = live(place)
    main(["add", kind, str(path)])
    main(["replace", kind, str(path)])
    assert len(live(place).keys) == 1
    assert not before.keys.keys() & live(place).keys.keys()


def test_keys_are_said_by_their_names_alone(place: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    kind, path = place
    main(["add", kind, str(path)])
    said = capsys.readouterr().out
    for kid in live(place).keys:
        assert kid in said
    text = path.read_text() if kind == "env" else (path / "auth" / "jwt_keys").read_text()
    assert not [pair for pair in text.replace("=", ",").split(",") if ":" in pair and pair.partition(":")[2].strip() in said]


def test_everything_else_stays_as_it_is(place: tuple[str, Path]) -> None:
    kind, path = place
    files = [path] if kind == "env" else sorted(file for file in path.rglob("*") if file.is_file() and file.name != "jwt_keys")
    if kind == "env":
        path.write_text(f"# a note\nPORT=8081\n{path.read_text()}LOG_LEVEL='DEBUG'  # for now\n")
    before = [[line for line in file.read_text().splitlines() if "JWT_KEYS" not in line] for file in files]
    main(["add", kind, str(path)])
    assert [[line for line in file.read_text().splitlines() if "JWT_KEYS" not in line] for file in files] == before
    changed, mode = (path, 0o600) if kind == "env" else (path / "auth" / "jwt_keys", 0o440)
    assert changed.stat().st_mode & 0o777 == mode


def test_a_change_that_was_cut_short_is_run_again(tmp_path: Path) -> None:
    for consumer in CONSUMERS:
        (tmp_path / consumer).mkdir()
    ensure_volumes(tmp_path)
    half = tmp_path / "leaderboard" / "jwt_keys"
    half.chmod(0o600)
    half.write_text((tmp_path / "auth" / "jwt_keys").read_text() + ",half:done")
    main(["add", "volumes", str(tmp_path)])
    assert len(live(("volumes", tmp_path)).keys) == 2
    assert ensure_volumes(tmp_path) == []


def test_nothing_to_rotate_is_said(place: tuple[str, Path], tmp_path: Path) -> None:
    kind, path = place
    with pytest.raises(InvalidSecrets, match="add one first"):
        main(["promote", kind, str(path)])
    (tmp_path / "elsewhere" / "auth").mkdir(parents=True)
    with pytest.raises(InvalidSecrets, match=r"no (JWT_KEYS|jwt_keys)"):
        main(["add", kind, str(tmp_path / "elsewhere" / (".env" if kind == "env" else ""))])
    with pytest.raises(SystemExit, match="usage"):
        main(["rotate", kind, str(path)])
