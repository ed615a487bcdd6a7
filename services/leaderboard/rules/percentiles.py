"""Which part of a board's players stands at or below somebody, with no I/O."""


def percentile(behind_or_equal: int, players: int) -> float:
    """Of ``players`` so many stand at or below a score, its own and equal ones among them: in percent, from 0 to 100.

    Rounded half up to 4 decimals, by integers: so it is the same wherever the two were counted. There is one player at least.
    """
    return (2_000_000 * behind_or_equal + players) // (2 * players) / 10_000
