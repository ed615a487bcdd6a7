"""HTTP of submitting a game session."""

from fastapi import APIRouter, Response

from services.common.http.authentication import alternatively
from services.common.http.problems import (
    BodyTooLarge,
    InsufficientScope,
    InvalidRequest,
    ServiceUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema
from services.common.tokens import Scope
from services.leaderboard.errors import (
    InvalidKey,
    KeyReused,
    NotForPlayers,
    PlayerBanned,
    QueueFull,
    SessionErased,
    TooManySubmissions,
    TotalTooLarge,
    UnknownUser,
)
from services.leaderboard.http.dependencies import (
    IDEMPOTENCY_KEY,
    KEY_PATTERN,
    PREFIX,
    Key,
    Submission,
    Submitter,
    Writing,
    rendered,
)
from services.leaderboard.http.schemas import (
    ScoreSubmission,
    SubmittedSession,
)

REPLAYED = "Idempotent-Replayed"

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


@router.post(
    "/submit",
    status_code=201,
    summary="Submit a score",
    description="Send an `Idempotency-Key`: a repeat with the same key is the same session and is counted once. It is "
    "answered with that session's id, with how the player stands now, and with `Idempotent-Replayed: true`. Without a key "
    "each request is a new session. If the player has erased the session, its repeat is refused (409) for 30 days. A "
    "player can submit 100 sessions at once and 20 a second after that; more are refused (429), except for repeats. A "
    "game server submits for any player with a key that has the scope `scores:write`: it sends `user_id`, and may send "
    "`played_at`. It has no limit, and its idempotency keys are separate from the players'. A session that a board's "
    "rules hold is stored, and counts once staff have approved it (`held`).",
    response_model=SubmittedSession,
    responses={
        **documented(
            Unauthenticated,
            InsufficientScope,
            NotForPlayers,
            PlayerBanned,
            InvalidKey,
            TotalTooLarge,
            SessionErased,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            KeyReused,
            UnknownUser,
            TooManySubmissions,
            ServiceUnavailable,
            QueueFull,
        ),
        201: {
            "description": "The session is stored, and counted unless it is held",
            "headers": {
                REPLAYED: {
                    "description": "present if the session was stored before, with the same key",
                    "schema": {"type": "string", "enum": ["true"]},
                }
            },
        },
    },
    openapi_extra={
        **body_schema({JSON: ScoreSubmission}),
        **alternatively(Scope.SCORES),
        "parameters": [
            {
                "name": IDEMPOTENCY_KEY,
                "in": "header",
                "description": "identifies this submission, for example a UUID: 1 to 64 visible ASCII characters. A repeat "
                "with the same key is counted once",
                "schema": {"type": "string", "pattern": KEY_PATTERN},
            }
        ],
    },
)
async def submit(caller: Submitter, key: Key, submission: Submission, writes: Writing) -> Response:
    body, replayed = await writes.submit(caller, submission.user_id, submission.played(), key)
    answer = rendered(body, 201)
    if replayed:
        answer.headers[REPLAYED] = "true"
    return answer
