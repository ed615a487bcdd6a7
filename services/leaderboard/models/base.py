"""What all tables of the service are declared by."""

from sqlalchemy.orm import DeclarativeBase


class LeaderboardBase(DeclarativeBase):
    """The tables that the account `leaderboard` may use."""
