"""SQL that tells whether a session ``s`` of the log has a place, or one of a board: wherever among its places it has it."""

from services.leaderboard.rules.places import MAIN, MAIN_BOARD_ID, MOST_PLACES, Place, pack


def on_board(board_id: int) -> str:
    """Whether the session counts on a board, or would, in whichever period."""
    return _has(board_id.to_bytes(4), main=board_id == MAIN_BOARD_ID)


def in_place(at: Place) -> str:
    """Whether the session counts in a place, or would."""
    return _has(pack([at]), main=at == MAIN)


def _has(packed: bytes, *, main: bool) -> str:
    """``main``: whether a session from before there were boards has it, which counts on the main one in all time."""
    wanted, size = f"0x{packed.hex()}", len(packed)
    at = " OR ".join(f"SUBSTRING(s.places, {8 * number + 1}, {size}) = {wanted}" for number in range(MOST_PLACES))
    # The first look spares most sessions the others: it may find the bytes across two places.
    listed = f"(LOCATE({wanted}, s.places) > 0 AND ({at}))"
    return f"(s.places IS NULL OR {listed})" if main else listed
