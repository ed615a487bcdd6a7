"""What the leaderboard service refuses, and why."""

from services.common.problems import Problem


class PlayerNotFound(Problem):
    status = 404
    type = "urn:problem:player-not-found"
    title = "No such player on this board"


class TotalTooLarge(Problem):
    """The player's total would leave the range in which every client counts exactly (IEEE 754: below 2^53)."""

    status = 409
    type = "urn:problem:total-too-large"
    title = "The player's total cannot grow that far"
