"""What the auth service refuses, and why."""

from services.common.problems import Problem, ServiceUnavailable, Unauthenticated


class UsernameTaken(Problem):
    status = 409
    type = "urn:problem:username-taken"
    title = "The username is taken"


class InvalidCredentials(Unauthenticated):
    """The same for a wrong password and for a name that nobody has: which it was is nobody's business."""

    type = "urn:problem:invalid-credentials"
    title = "The username or the password is wrong"


class InvalidRefreshToken(Unauthenticated):
    """No refresh token, or one that is unknown, expired, ended or already used."""

    type = "urn:problem:invalid-refresh-token"
    title = "Sign in again"


class PasswordQueueFull(ServiceUnavailable):
    """More passwords wait to be checked than this service is willing to keep waiting."""

    title = "Too many people are signing in right now"
