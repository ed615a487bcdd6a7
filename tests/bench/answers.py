"""The ready answers of what is measured beside ours: as long as ours are."""

import json

_ROWS = [
    {"rank": rank, "user_id": 200_000 - rank, "username": f"CosmicOtter{rank}", "total_score": 2_000_000 - rank}
    for rank in range(1, 11)
]
PAGE = json.dumps({"top": _ROWS, "limit": 10, "offset": 0, "total_players": 200_000}, separators=(",", ":")).encode()
"""What `/top` answers."""
DONE = b'{"user_id":123456,"username":"CosmicOtter","total_score":1999999,"rank":1,"session_id":1000000}'
"""What a submission is answered."""
