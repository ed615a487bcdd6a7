"""SQL of what a period comes to: who stands where, how far each reward reaches, and a digest of it.

Settling stores it, a rehearsal only reads it. Both ask for it in one transaction in which the standings stay what they are.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.boards.document import parse_rewards, rewards_json
from services.leaderboard.models import Standing
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Cutoff, Reward
from services.leaderboard.standings.queries import at_place, count_ahead, count_players


class Line(NamedTuple):
    """A result as the digest has it: a line of its own, with blanks between. Without a reward it ends with a blank."""

    rank: int
    user_id: int
    score: int
    reward: str | None

    @classmethod
    def parse(cls, line: str) -> Self:
        rank, user_id, score, reward = line.split(" ")
        return cls(int(rank), int(user_id), int(score), reward or None)


class Outcome(NamedTuple):
    """How many players are ranked, how far each reward reaches, and the lines of those whose results are kept."""

    players: int
    cutoffs: Sequence[Cutoff]
    lines: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the lines (`Line`), in UTF-8, with newlines between."""
        return hashlib.sha256(self.lines.encode()).digest()


# Only those are numbered whose results are kept: whoever comes after them is ahead of nobody here.
_RESULTS = """
SELECT position, `rank`, user_id, score, {reward} AS reward FROM (
  SELECT ROW_NUMBER() OVER (ORDER BY sort, reached_session_id) AS position, RANK() OVER (ORDER BY sort) AS `rank`,
    user_id, score
  FROM (
    SELECT user_id, score, sort, reached_session_id FROM standings
    WHERE board_id = :board_id AND period_id = :period_id AND sort IS NOT NULL
    ORDER BY sort, reached_session_id LIMIT :kept
  ) AS kept
) AS ranked"""
# In one value: the driver takes longer for a row than MySQL does.
_LINES = r"""
SELECT
  GROUP_CONCAT(CONCAT(`rank`, ' ', user_id, ' ', score, ' ', COALESCE(reward, '')) ORDER BY position SEPARATOR '\n'), COUNT(*)
FROM {results}"""
_STORE = (
    "INSERT INTO results (period_id, position, `rank`, user_id, score, reward) SELECT :period_id, r.* FROM ({results}) AS r"
)


async def store(connection: AsyncConnection, at: Place, rewards: Sequence[Reward], kept: int) -> Outcome:
    """Store the results of a period, and give what it came to."""
    players, cutoffs = await _measure(connection, at, rewards)
    results, values = _results(at, rewards, players, kept)
    await connection.execute(text(_STORE.format(results=results)), values)
    stored = "results WHERE period_id = :period_id"
    return Outcome(players, cutoffs, await _read_lines(connection, stored, {"period_id": at.period_id}))


async def read(connection: AsyncConnection, at: Place, rewards: Sequence[Reward], kept: int) -> Outcome:
    """What a period would come to now."""
    players, cutoffs = await _measure(connection, at, rewards)
    results, values = _results(at, rewards, players, kept)
    return Outcome(players, cutoffs, await _read_lines(connection, f"({results}) AS r", values))


def write_cutoffs(cutoffs: Sequence[Cutoff]) -> list[dict[str, Any]]:
    """How far each reward reached, as JSON."""
    return [
        {**written, "last_rank": each.last_rank, "score": each.score}
        for each, written in zip(cutoffs, rewards_json([each.reward for each in cutoffs]) or [], strict=True)
    ]


def parse_cutoffs(document: Sequence[dict[str, Any]]) -> list[Cutoff]:
    """What `write_cutoffs` wrote."""
    cutoffs = []
    for each in document:
        written = {name: value for name, value in each.items() if name not in ("last_rank", "score")}
        [reward] = parse_rewards([written])
        cutoffs.append(Cutoff(reward, each["last_rank"], each["score"]))
    return cutoffs


async def _measure(connection: AsyncConnection, at: Place, rewards: Sequence[Reward]) -> tuple[int, list[Cutoff]]:
    players = await count_players(connection, at)
    return players, [await _find_cutoff(connection, at, reward, players) for reward in rewards]


async def _find_cutoff(connection: AsyncConnection, at: Place, reward: Reward, players: int) -> Cutoff:
    """How far a reward reaches: whoever stands at its last rank, or would if nobody shared one, shares the last score."""
    first, last = reward.span(players)
    position = min(last, players)
    if not position:
        return Cutoff(reward, None, None)
    score, sort = await find_at(connection, at, position, players)
    rank = 1 + await count_ahead(connection, at, sort)
    return Cutoff(reward, rank, score) if rank >= first else Cutoff(reward, None, None)


async def find_at(connection: AsyncConnection, at: Place, position: int, players: int) -> tuple[int, int]:
    """The score of who stands so many players from the top, and what it is ordered by. Counted from the nearer end."""
    order, before = (Standing.sort, Standing.reached_session_id), position - 1
    if before > players - position:
        order, before = (Standing.sort.desc(), Standing.reached_session_id.desc()), players - position  # type: ignore[assignment]
    ranked = select(Standing.score, Standing.sort).where(*at_place(at), Standing.sort.is_not(None))
    row = (await connection.execute(ranked.order_by(*order).offset(before).limit(1))).one()
    assert row.score is not None
    assert row.sort is not None
    return row.score, row.sort


def _results(at: Place, rewards: Sequence[Reward], players: int, kept: int) -> tuple[str, dict[str, Any]]:
    """The statement that reads the results, and its values."""
    values: dict[str, Any] = {**at._asdict(), "kept": kept}
    cases = []
    for number, reward in enumerate(rewards):
        first, last = reward.span(players)
        values |= {f"first_{number}": first, f"last_{number}": last, f"name_{number}": reward.name}
        cases.append(f"WHEN `rank` BETWEEN :first_{number} AND :last_{number} THEN :name_{number}")
    return _RESULTS.format(reward=f"CASE {' '.join(cases)} END" if cases else "NULL"), values


async def _read_lines(connection: AsyncConnection, results: str, values: dict[str, Any]) -> str:
    row = (await connection.execute(text(_LINES.format(results=results)), values)).one()
    lines: str = row[0] or ""
    if (lines.count("\n") + 1 if lines else 0) != row[1]:
        raise RuntimeError(f"{row[1]} results in other lines")  # a server may cut short what is longer than it allows
    return lines
