"""What the leaderboard service refuses, and why."""

from services.common.http.problems import FieldError, Problem, ServiceUnavailable


class PlayerNotFound(Problem):
    status = 404
    type = "urn:problem:player-not-found"
    title = "No such player on this board"


class SessionNotFound(Problem):
    status = 404
    type = "urn:problem:session-not-found"
    title = "There is no such game session"


class SessionVoided(Problem):
    """What was voided is not approved. It can be restored."""

    status = 409
    type = "urn:problem:session-voided"
    title = "The game session was voided"


class VoidJobNotFound(Problem):
    status = 404
    type = "urn:problem:void-job-not-found"
    title = "There is no such job"


class VoidJobConflict(Problem):
    """What the job does just now does not let it do that. Nothing was changed."""

    status = 409
    type = "urn:problem:void-job-conflict"
    title = "The job cannot do that now"


class PlayerBanned(Problem):
    """The player is banned, and this system says so: nothing was stored."""

    status = 403
    type = "urn:problem:player-banned"
    title = "The player is banned"


class BoardNotFound(Problem):
    status = 404
    type = "urn:problem:board-not-found"
    title = "There is no such board"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no board of the name {name}.")


class WindowNotFound(Problem):
    status = 404
    type = "urn:problem:window-not-found"
    title = "The board has no such window"


class BoardConflict(Problem):
    """What the board is by now does not let it become that. Nothing was changed."""

    status = 409
    type = "urn:problem:board-conflict"
    title = "The board cannot be changed like this"


class TotalTooLarge(Problem):
    """The player's total would leave the range in which every client counts exactly (IEEE 754: below 2^53)."""

    status = 409
    type = "urn:problem:total-too-large"
    title = "The player's total cannot grow that far"


class InvalidKey(Problem):
    status = 400
    type = "urn:problem:invalid-idempotency-key"
    title = "The Idempotency-Key is not valid"


class KeyReused(Problem):
    """Not a repeat: the key came before, with another body. draft-ietf-httpapi-idempotency-key-header, section 2.7."""

    status = 422
    type = "urn:problem:idempotency-key-reused"
    title = "The Idempotency-Key was used for another session"


class SessionErased(Problem):
    """A repeat of a session that its player has had erased: it is not stored again."""

    status = 409
    type = "urn:problem:session-erased"
    title = "The session was erased"


class PeriodNotFound(Problem):
    status = 404
    type = "urn:problem:period-not-found"
    title = "No such period of this board"


class PeriodExpired(Problem):
    """There was one. Its standings are not kept any more."""

    status = 410
    type = "urn:problem:period-expired"
    title = "The period is not kept any more"


class PeriodNotSettled(Problem):
    """It is still running, or has ended only just now. It is settled soon after its `closes_at`."""

    status = 409
    type = "urn:problem:period-not-settled"
    title = "The period has no results yet"


class PeriodConflict(Problem):
    """What there is already does not let the period be there. Nothing was changed."""

    status = 409
    type = "urn:problem:period-conflict"
    title = "There cannot be such a period"


class TooManySubmissions(Problem):
    """The player has had as many sessions stored as one may for now. Nothing was stored."""

    status = 429
    type = "urn:problem:too-many-submissions"
    title = "Too many game sessions were submitted"

    def __init__(self, seconds: int) -> None:
        wait = f"{seconds} second{'s' * (seconds > 1)}"
        super().__init__(f"The session was not stored. Send it again in {wait}.", headers={"Retry-After": str(seconds)})


class TooManyReports(Problem):
    """The player has reported as many sessions as one may on a day. This one was not reported."""

    status = 429
    type = "urn:problem:too-many-reports"
    title = "Too many game sessions were reported"

    def __init__(self, a_day: int, seconds: int) -> None:
        detail = f"A player reports {a_day} sessions a day at most. The next day begins in {seconds} seconds."
        super().__init__(detail, headers={"Retry-After": str(seconds)})


class TooManyStreams(Problem):
    """As many live streams of the user, or of the address, are open as may be. Streams end, so this one may be opened later."""

    status = 429
    type = "urn:problem:too-many-streams"
    title = "Too many live streams are open"

    def __init__(self, whose: str, most: int) -> None:
        super().__init__(f"{whose} has {most} live streams at once, at most. Close one first.", headers={"Retry-After": "10"})


class OwnSession(Problem):
    """Players report what others have played."""

    status = 403
    type = "urn:problem:own-session"
    title = "This is a game session of the caller's own"


class NotForPlayers(Problem):
    """The access token is a user's, and what is asked for is for game servers, which have keys."""

    status = 403
    type = "urn:problem:not-for-players"
    title = "This is for game servers, not for players"


class UnknownUser(Problem):
    """A session is submitted for a user whom there is not, or not any more. Nothing was stored."""

    status = 422
    type = "urn:problem:unknown-user"
    title = "There is no such user"

    def __init__(self, user_id: int) -> None:
        detail = f"There is no user {user_id}, or their account has ended."
        super().__init__(detail, errors=[FieldError(detail=detail, pointer="#/user_id")])


class WebhookNotFound(Problem):
    status = 404
    type = "urn:problem:webhook-not-found"
    title = "There is no such webhook"


class DeliveryNotFound(Problem):
    status = 404
    type = "urn:problem:delivery-not-found"
    title = "The webhook has no such delivery"


class TooManyWebhooks(Problem):
    status = 409
    type = "urn:problem:too-many-webhooks"
    title = "There are too many webhooks"


class QueueFull(ServiceUnavailable):
    type = "urn:problem:queue-full"
    title = "Too many sessions wait to be stored"


class StreamsFull(ServiceUnavailable):
    type = "urn:problem:streams-full"
    title = "Too many live streams are open here"

    def __init__(self) -> None:
        super().__init__("As many live streams are open as may be. Try again in a moment.", retry_after=5)


class TooManyTransfers(ServiceUnavailable):
    type = "urn:problem:too-many-transfers"
    title = "Too many exports or imports are under way"

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Try again in a moment.", retry_after=5)
