"""Examples of what the leaderboard service answers, for its API document. FastAPI would leave out what is null in them."""

from pydantic import ConfigDict, JsonValue

Example = dict[str, JsonValue]

ADA: Example = {"user_id": 7, "username": "Ada"}
BOB: Example = {"user_id": 9, "username": "Bob"}
_PLACE: Example = {"board": "alps", "window": "week", "period_id": 17}
CURSOR = "bGFzdA"
_EXTRA: Example = {"extra": {"car": "red"}}

RANKED: list[JsonValue] = [{"rank": 1, **ADA, "total_score": 3600}, {"rank": 2, **BOB, "total_score": 1200}]
ROWS: list[JsonValue] = [{"rank": 1, **ADA, "score": 1200, **_EXTRA}, {"rank": 2, **BOB, "score": 900, **_EXTRA}]
OF_BOARD: Example = {**_PLACE, "total_players": 2}
ON_BOARD: Example = {
    **OF_BOARD,
    "rank": 2,
    **BOB,
    "score": 900,
    **_EXTRA,
    "percentile": 50.0,
    "to_next": {"points": 300, "rank": 1},
}
ASKED_RANKS: list[JsonValue] = [
    {**ADA, "rank": 1, "score": 1200, "place": 1},
    {**BOB, "rank": 2, "score": 900, "place": 2},
]
LIVE = (
    "retry: 1742\n\n"
    "event: top\nid: 5.42\n"
    'data: {"board":"alps","window":"week","period_id":17,"top":[{"rank":1,"user_id":7,"username":"Ada","score":1200}],'
    '"offset":0,"total_players":2,"generation":"5.42","next_cursor":null}\n\n'
)
STANDING: Example = {**_PLACE, "score": 1200, "rank": 1, "total_players": 2}

_TIMES: Example = {
    "starts_at": "2026-02-02T00:00:00Z",
    "ends_at": "2026-02-09T00:00:00Z",
    "closes_at": "2026-02-09T00:01:00Z",
}
PERIOD_WRITTEN: Example = {
    "period_id": 17,
    "window": "week",
    "number": 4,
    "title": "The fifth week",
    **_TIMES,
    "state": "open",
}
PERIOD: Example = {**PERIOD_WRITTEN, "players": 2}
PERIOD_BODY: Example = {"title": "Summer", "starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z"}
_WINDOW: Example = {
    "name": "week",
    "zone": "UTC",
    "first": "2026-01-05T00:00:00",
    "every": "P1W",
    "grace": 60,
    "keep": 10,
    "listed": False,
    "rewards": [
        {"name": "gold", "ranks": [1, 3], "percent": None, "everyone": False},
        {"name": "silver", "ranks": None, "percent": 10, "everyone": False},
    ],
    "counts_from": "2026-01-05T00:00:00Z",
}
_CURRENT: Example = {"current": {"period_id": 17, **_TIMES, "players": 2}, "next_starts_at": "2026-02-09T00:00:00Z"}
_BOARD: Example = {
    "name": "alps",
    "title": "The Alps",
    "metric": "score",
    "aggregate": "best",
    "direction": "descending",
    "rule": {"where": {"track": "alps"}},
    "min_score": 0,
    "max_score": 1_000_000,
    "show_extra": True,
    "submitters": "players",
    "hold": {"score_over": 500_000, "sessions_per_minute_over": 30},
    "state": "active",
}
BOARD_BODY: Example = {
    "title": "The Alps",
    "aggregate": "best",
    "rule": {"where": {"track": "alps"}},
    "windows": [{"name": "all"}, {"name": "week"}, {"name": "season", "listed": True}],
}
BOARD: Example = {**_BOARD, "windows": [_WINDOW]}
BOARD_NOW: Example = {**_BOARD, "windows": [_WINDOW | _CURRENT]}

RESULT: Example = {"rank": 1, **ADA, "score": 1200, "reward": "gold"}
CAME_TO: Example = {
    "results": [RESULT, {"rank": 2, "user_id": 9, "username": None, "score": 900, "reward": None}],
    "players": 2,
    "rewards": [{"name": "gold", "ranks": [1, 1], "percent": None, "everyone": False, "last_rank": 1, "cutoff_score": 1200}],
    "digest": "ef7c3b1d7f1b3a4c5a8d3a51a9c9be2f1b0e8cf0b1d2a3948576af0c1d2e3f40",
}

_SESSION: Example = {"session_id": 41, "score": 1200, "submitted_at": "2026-02-03T12:00:00Z"}
BEST: Example = {
    **_PLACE,
    **ADA,
    "score": 1200,
    "rank": 1,
    "session": {**_SESSION, "value": 1200, "metrics": {"laps": 3}, "tags": {"track": "alps"}, **_EXTRA},
}
OWN_SESSION: Example = {**_SESSION, "voided": False, "held": False}
SUBMITTED: Example = {
    "session_id": 41,
    **ADA,
    "total_score": 3600,
    "rank": 1,
    "held": False,
    "standings": [{**STANDING, "counted": True, "improved": True}],
}
BATCH: Example = {
    "submissions": [
        {"user_id": 7, "score": 1200, "key": "match-8812-7"},
        {"user_id": 99, "score": 900, "key": "match-8812-99"},
    ]
}
BATCH_RESULTS: Example = {
    "results": [
        {"status": 201, "session_id": 41, "held": False, "standings": [{**STANDING, "counted": True, "improved": True}]},
        {
            "status": 422,
            "problem": {
                "type": "urn:problem:unknown-user",
                "title": "There is no such user",
                "status": 422,
                "detail": "There is no user 99, or their account has ended.",
                "errors": [
                    {"detail": "There is no user 99, or their account has ended.", "pointer": "#/user_id"},
                ],
            },
        },
    ]
}
EXPORT: Example = {
    "player": ADA,
    "standings": [{"board": "main", "period_id": 0, "total_score": 3600, "sessions": 3}],
    "results": [{"board": "alps", "period_id": 16, "rank": 1, "score": 1200, "reward": "gold"}],
    "reports": [{"session_id": 40, "reason": "through the wall", "reported_at": "2026-02-03T12:30:00Z"}],
    "sessions": [{**_SESSION, "idempotency_key": "round-3", "tags": {"track": "alps"}}],
}
VOIDED_SESSION: Example = {
    "session_id": 41,
    **ADA,
    "voided": True,
    "held": False,
    "standings": [{**_PLACE, "score": 900, "rank": 2, "total_players": 2}],
}
BANNED: Example = {**ADA, "banned_at": "2026-02-03T13:00:00Z"}
BANNED_PLAYER: Example = {**BANNED, "standings": []}
PLAYED: Example = {
    **_SESSION,
    "played_at": None,
    "idempotency_key": "round-3",
    "metrics": {"laps": 3},
    "tags": {"track": "alps"},
    **_EXTRA,
    "places": [_PLACE],
    "voided": True,
    "held": False,
}
QUEUED: Example = {
    **_SESSION,
    **ADA,
    "played_at": None,
    "boards": ["alps"],
    "held": True,
    "reason": {"board": "alps", "rule": "score_over", "limit": 1000, "value": 1200},
    "reports": 2,
    "reported": ["through the wall"],
}
ENTRY: Example = {
    "act": "session_voided",
    "user_id": 7,
    "session_id": 41,
    "by": {"user_id": 1, "client_id": None},
    "reason": "faster than the car can go",
    "was": {"voided": False, "scores": [{"board_id": 3, "period_id": 17, "score": 1200}]},
    "became": {"voided": True, "scores": [{"board_id": 3, "period_id": 17, "score": 900}]},
    "done_at": "2026-02-03T13:00:00Z",
}
WEBHOOK: Example = {
    "name": "studio",
    "url": "https://hooks.studio.example/leaderboard",
    "events": ["period.settled"],
    "state": "on",
    "paused_until": "2026-02-09T00:06:00Z",
    "old_secret_until": "2026-02-09T12:00:00Z",
    "created_at": "2026-02-03T13:00:00Z",
    "pending": 1,
    "failed": 0,
}
DELIVERY: Example = {
    "delivery_id": 12,
    "event_id": "evt_9f2c1e7a4b6d8035_41",
    "type": "period.settled",
    "state": "pending",
    "happened_at": "2026-02-09T00:01:01Z",
    "tries": 1,
    "tried_at": "2026-02-09T00:01:02Z",
    "next_at": "2026-02-09T00:01:07Z",
    "status": 500,
    "error": "answered 500",
}

PREVIEW: Example = {
    "outcome": "changed",
    "differences": ["max_score 1000 → 2000"],
    "conflicts": [],
    "windows": [
        {
            "name": "week",
            "periods": [
                {
                    "period_id": 17,
                    "starts_at": "2026-02-02T00:00:00Z",
                    "ends_at": "2026-02-09T00:00:00Z",
                    "closes_at": "2026-02-09T00:01:00Z",
                }
            ],
        }
    ],
    "counting": 1,
    "sessions": [{**_SESSION, **ADA, "value": 1200, "counts": True, "reason": None}],
}

FILTER: Example = {"tags": {"build": "1.4.2"}, "since": "2026-02-03T00:00:00Z"}
VOID_PREVIEW: Example = {
    "sessions": 1,
    "players": 1,
    "complete": True,
    "first": [{**_SESSION, **ADA, "played_at": None, "metrics": {"laps": 3}, "tags": {"build": "1.4.2"}}],
}
VOID_JOB: Example = {
    "job_id": 5,
    "state": "done",
    "filter": FILTER,
    "reason": "the build counted laps twice",
    "by": {"user_id": 1, "client_id": None},
    "upto_session_id": 1_000_000,
    "looked_at_session_id": 1_000_000,
    "found": 200_000,
    "done": 200_000,
    "voided": 199_990,
    "restored": 0,
    "failed": 0,
    "players": 20_000,
    "started_at": "2026-02-04T12:00:00Z",
    "finished_at": "2026-02-04T12:09:00Z",
}
FIGURES: Example = {
    "submissions_per_second": 212.5,
    "players": {"count": 51_000, "exact": False},
    "sessions": {"count": 1_020_000, "exact": False},
    "index": {"in_use": True, "places": 12, "complete": 9},
    "backlog": {"submissions": 0, "outbox": 2, "periods": 0, "players": 0, "void_jobs": 1},
    "measured_at": "2026-02-04T12:00:00Z",
}


def shown(example: Example) -> ConfigDict:
    """What a model is configured with whose answers look like this."""
    return ConfigDict(json_schema_extra={"examples": [example]})
