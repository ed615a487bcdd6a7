"""What the auth service refuses, and why."""

import math
from types import MappingProxyType

from services.common.http.problems import Problem, ServiceUnavailable, Unauthenticated


class NameOfStaff(Problem):
    """A name is to be replaced that one of staff signs in by. Admins take the role first."""

    status = 409
    type = "urn:problem:name-of-staff"
    title = "The user is of the staff"


class UsernameTaken(Problem):
    status = 409
    type = "urn:problem:username-taken"
    title = "The username is taken"


class TooManyNames(Problem):
    """The account has given up as many names as are kept for one."""

    status = 409
    type = "urn:problem:too-many-names"
    title = "The name was changed too often"


class NotForGuests(Problem):
    """What only an account with a password can do."""

    status = 409
    type = "urn:problem:not-for-guests"
    title = "The account has no password"


class NotAGuest(Problem):
    """The account has a name and a password already, for example because the same was asked for a moment ago."""

    status = 409
    type = "urn:problem:not-a-guest"
    title = "The account has a password already"


class IdentityNotFound(Problem):
    status = 404
    type = "urn:problem:identity-not-found"
    title = "Nobody has this identity"


class InvalidCredentials(Unauthenticated):
    """The same for a wrong password and for a name that nobody has: which it was is nobody's business."""

    type = "urn:problem:invalid-credentials"
    title = "The username or the password is wrong"


class InvalidRecoveryCode(Unauthenticated):
    """The same for a name that nobody has, an account without codes, and a code that is wrong or was used."""

    type = "urn:problem:invalid-recovery-code"
    title = "The username or the recovery code is wrong"


class InvalidRefreshToken(Unauthenticated):
    """No refresh token, or one that is unknown, expired, ended or already used."""

    type = "urn:problem:invalid-refresh-token"
    title = "Sign in again"


class InvalidTokenRequest(Problem):
    """Not a 422: RFC 6749, section 5.2 says how the token endpoint refuses."""

    status = 400
    type = "urn:problem:invalid-token-request"
    title = "The request for a token is not valid"
    extensions = MappingProxyType({"error": "invalid_request"})


class UnsupportedGrantType(Problem):
    status = 400
    type = "urn:problem:unsupported-grant-type"
    title = "There is no such grant"
    extensions = MappingProxyType({"error": "unsupported_grant_type"})


class InvalidGrant(Problem):
    """What InvalidCredentials and InvalidRefreshToken are elsewhere."""

    status = 400
    type = "urn:problem:invalid-grant"
    title = "The password or the refresh token is not valid"
    extensions = MappingProxyType({"error": "invalid_grant"})


class InvalidScope(Problem):
    """A scope that there is not, or that the key lacks. RFC 6749, section 5.2."""

    status = 400
    type = "urn:problem:invalid-scope"
    title = "The scope is not one of the key's"
    extensions = MappingProxyType({"error": "invalid_scope"})


class InvalidClient(Unauthenticated):
    """The same for a wrong secret, and for a key that is unknown, revoked or expired. RFC 6749, section 5.2."""

    type = "urn:problem:invalid-client"
    title = "The key or its secret is not valid"
    extensions = MappingProxyType({"error": "invalid_client"})

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, challenge='Basic realm="keys"')


class TooManyKeys(Problem):
    status = 409
    type = "urn:problem:too-many-keys"
    title = "There are too many keys"


class KeyNotFound(Problem):
    status = 404
    type = "urn:problem:key-not-found"
    title = "There is no such key"


class PasswordQueueFull(ServiceUnavailable):
    """More passwords wait to be checked than this service is willing to keep waiting."""

    title = "Too many people are signing in right now"


class TooManyFailures(Problem):
    """Too many wrong passwords for one account, or for a name that nobody has: which it was is nobody's business."""

    status = 429
    type = "urn:problem:too-many-failures"
    title = "Too many wrong passwords were tried"

    def __init__(self, seconds: int) -> None:
        minutes = math.ceil(seconds / 60)
        wait = f"{seconds} second{'s' * (seconds > 1)}" if seconds < 60 else f"{minutes} minute{'s' * (minutes > 1)}"
        super().__init__(f"{self.title}. Try again in {wait}.", headers={"Retry-After": str(seconds)})


class TooManyWrongCodes(TooManyFailures):
    """The same for codes of a second factor, and for staff codes."""

    type = "urn:problem:too-many-wrong-codes"
    title = "Too many wrong codes were tried"


class TooManyWrongSecrets(Problem):
    """Too many wrong secrets for one key, or for one that there is not. The right one is not delayed."""

    status = 429
    type = "urn:problem:too-many-wrong-secrets"
    title = "Too many wrong secrets were tried"
    extensions = MappingProxyType({"error": "invalid_client"})

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "Too many wrong secrets were tried for this key. Its right one is taken at any time.",
            headers={"Retry-After": str(seconds)},
        )


class TooManyEvents(Problem):
    """The account's audit log has had as many events of one kind in the last minute as it takes."""

    status = 429
    type = "urn:problem:too-many-events"
    title = "This was done too often"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"This was done too often. Try again in {seconds} second{'s' * (seconds > 1)}.",
            headers={"Retry-After": str(seconds)},
        )


class ExportUnderWay(Problem):
    """Another export of the same account is being sent, by this process or another."""

    status = 429
    type = "urn:problem:export-under-way"
    title = "An export of this account is under way"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "An export of your account is under way. Try again when it is done.", headers={"Retry-After": str(seconds)}
        )


class CrossSiteRequest(Problem):
    """A browser sent the refresh cookie, or a login, for a page that is not ours."""

    status = 403
    type = "urn:problem:cross-site-request"
    title = "The request comes from another site"


class WrongPassword(Problem):
    """Not a 401: the session is good, and signing in again would not help."""

    status = 403
    type = "urn:problem:wrong-password"
    title = "The password is wrong"


class WrongCode(Problem):
    """Not a 401: the session is good. A code that was used before is only wrong."""

    status = 403
    type = "urn:problem:wrong-code"
    title = "The code is wrong"


class NotStaff(Problem):
    """What is asked for is for those with a role."""

    status = 403
    type = "urn:problem:not-staff"
    title = "This is for staff"


class StaffSignIn(Problem):
    """A key would begin a session of somebody of the staff, whose role is worth more than the key."""

    status = 409
    type = "urn:problem:staff-sign-in"
    title = "Staff sign in by themselves"


class SecondFactorNeeded(Problem):
    """The session was opened with a password alone."""

    status = 403
    type = "urn:problem:second-factor-needed"
    title = "The second factor was not given in this session"


class NoSecondFactor(Problem):
    """There is none whose code could be right, or none that waits to be confirmed."""

    status = 409
    type = "urn:problem:no-second-factor"
    title = "There is no second factor"


class LastAdmin(Problem):
    """Without an admin nobody could make another."""

    status = 409
    type = "urn:problem:last-admin"
    title = "This is the last admin"


class SecondFactorUnreadable(ServiceUnavailable):
    """The key that its secret was encrypted with is not among those of the settings."""

    title = "The second factor cannot be read"
