"""Who is rewarded when a period is settled, and with what. Pure: ranks and numbers of players are all that it asks for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.leaderboard.rules.direction import Direction

MOST_REWARDS = 20
"""Rewards of a window, at most."""


@dataclass(frozen=True, slots=True)
class Reward:
    """What players of some ranks get: those of ``ranks``, from the first to the last, or the best ``percent`` of all, rounded
    up, or, with neither, everyone.

    Who shares the last of the ranks shares the reward, however many they are.
    """

    name: str
    ranks: tuple[int, int] | None = None
    percent: int | None = None

    def span(self, players: int) -> tuple[int, int]:
        """The first and the last rank that get it, of so many players."""
        if self.ranks is not None:
            return self.ranks
        return 1, players if self.percent is None else -(-players * self.percent // 100)


class Cutoff(NamedTuple):
    """How far a reward reached when a period was settled: to which rank, and to which score. None: nobody got so far."""

    reward: Reward
    last_rank: int | None
    score: int | None


class Move(NamedTuple):
    """How one player has moved in the order, while nobody else did, and how many are ranked now.

    ``before``, ``after``: what the player's score is ordered by, the least first. None: not ranked.
    """

    before: int | None
    after: int | None
    players: int

    @property
    def players_before(self) -> int:
        """How many were ranked."""
        return self.players - (self.after is not None) + (self.before is not None)

    def rank_before(self, rank: int, sort: int) -> int:
        """Which rank it was that is ``rank`` now, for a score that is ordered by ``sort``."""
        is_ahead, was_ahead = (each is not None and each < sort for each in (self.after, self.before))
        return rank - is_ahead + was_ahead


def list_edges(rewards: Iterable[Reward], move: Move) -> list[tuple[int, int]]:
    """Where others may have another reward now, in the order of the board: from which place to which.

    A reward begins or ends there. The rank of each of the others has moved by one at most, and so has the end of a reward.
    """
    edges: set[int] = set()
    for reward in rewards:
        first, last = reward.span(move.players)
        if reward.ranks is not None or reward.percent is not None:
            edges |= {first, last + 1}
    spans = [(max(1, edge - 2), min(move.players, edge + 1)) for edge in sorted(edges - {1})]
    return [(first, last) for first, last in spans if first <= last]


def find_reward(rewards: Iterable[Reward], players: int, rank: int) -> str | None:
    """The first of the rewards that fits a rank among so many players."""
    for reward in rewards:
        first, last = reward.span(players)
        if first <= rank <= last:
            return reward.name
    return None


def find_reward_of(cutoffs: Sequence[Cutoff], direction: Direction, rank: int, score: int) -> str | None:
    """The reward of a player whose result was not kept, by how far each reached: their score is as good as the last one's.

    Others may have been taken off the board since, so that the player's rank is another by now.
    """
    for reward, _, last_score in cutoffs:
        first = 1 if reward.ranks is None else reward.ranks[0]
        if last_score is not None and first <= rank and direction.sort(score) <= direction.sort(last_score):
            return reward.name
    return None
