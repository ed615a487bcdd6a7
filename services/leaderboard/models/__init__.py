"""The leaderboard service's tables. Game sessions are the log; everything else follows from it."""

from services.leaderboard.models.base import LeaderboardBase
from services.leaderboard.models.boards import Board, BoardsVersion, Period, Window
from services.leaderboard.models.log import ErasedKey, Erasure, GameSession, Player, SessionExtra
from services.leaderboard.models.moderation import ModerationEntry, Report, Reporter, Review, VoidJob, VoidJobSession
from services.leaderboard.models.seasons import Delivery, Event, Result, Webhook
from services.leaderboard.models.standings import Folding, IndexEpoch, Outbox, Standing

__all__ = [
    "Board",
    "BoardsVersion",
    "Delivery",
    "ErasedKey",
    "Erasure",
    "Event",
    "Folding",
    "GameSession",
    "IndexEpoch",
    "LeaderboardBase",
    "ModerationEntry",
    "Outbox",
    "Period",
    "Player",
    "Report",
    "Reporter",
    "Result",
    "Review",
    "SessionExtra",
    "Standing",
    "VoidJob",
    "VoidJobSession",
    "Webhook",
    "Window",
]
