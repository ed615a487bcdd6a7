"""The loads: what is asked of the services, and what sessions are submitted."""

import json
from collections.abc import Sequence

from tests.bench.generator import Load

API = "/api/leaderboard"
BOARDS = f"{API}/boards"
# Calls with many sessions that are under way at once: with a thousand each, as many as wait are far from too many.
BATCH_CONNECTIONS = 4


def reads(ids: list[str]) -> list[Load]:
    """What is asked of a service without a token."""
    return [
        Load("top", "GET", f"{API}/top"),
        Load("rank", "GET", f"{API}/rank/{{value}}", values=ids),
        Load("around", "GET", f"{API}/around/{{value}}?radius=5", values=ids),
    ]


def own_account(tokens: list[str]) -> Load:
    """One of the tokens' owners asks the auth service who they are."""
    return Load("me", "GET", "/auth/me", 200, {"Authorization": "Bearer {value}"}, "", tokens)


def week_reads(ids: list[str]) -> list[Load]:
    """The same of the main board's week, in which these are ranked."""
    board, week = f"{BOARDS}/main", "window=week"
    return [
        Load("week-top", "GET", f"{board}/top?{week}"),
        Load("week-rank", "GET", f"{board}/rank/{{value}}?{week}", values=ids),
        Load("week-around", "GET", f"{board}/around/{{value}}?{week}&radius=5", values=ids),
    ]


def rank_in(name: str, period_id: int, ids: list[str], board: str = "main") -> Load:
    """A rank in a period of a board, in which these are ranked."""
    return Load(name, "GET", f"{BOARDS}/{board}/rank/{{value}}?period={period_id}", values=ids)


def submission(
    name: str,
    tokens: list[str],
    path: str = f"{API}/submit",
    *,
    board: str | None = None,
    track: str | None = None,
    others: Sequence[str] = ("-",),
    **headers: str,
) -> Load:
    """A session that one of the tokens' owners submits: for a board that it names, or for those that take it, with its tag."""
    sent = {"Authorization": "Bearer {value}", "Content-Type": "application/json", **headers}
    session: dict[str, object] = {"score": 120}
    if board is not None:
        session["boards"] = [board]
    if track is not None:
        session["tags"] = {"track": track}
    return Load(name, "POST", path, 201, sent, json.dumps(session), tokens, others)


def batch(name: str, key: str, ids: Sequence[str], count: int, *, board: str | None = None) -> Load:
    """So many sessions in a call that a game server submits with a key's token: of any of these players, for a board or for
    those that take them.
    """
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    named = "" if board is None else f', "boards": ["{board}"]'
    item = f'{{"user_id": {{other}}, "score": 120, "key": "{{item}}"{named}}}'
    body = f'{{"submissions": [{", ".join([item] * count)}]}}'
    return Load(name, "POST", f"{API}/submissions", 200, sent, body, others=ids, connections=BATCH_CONNECTIONS)
