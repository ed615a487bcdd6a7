"""What the auth service is sent and what it answers, one schema a direction."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from services.auth.accounts import usernames
from services.auth.passwords import recovery_codes, rules
from services.auth.sessions.families import Kind, SessionRecord
from services.auth.staff.roles import Role

# Of what is answered; what is sent has them at its members. FastAPI would leave out what is null in them.
_TIME = "2026-02-01T12:00:00Z"
ACCESS_TOKEN: dict[str, JsonValue] = {"access_token": "eyJhbGciOi…", "token_type": "Bearer", "expires_in": 900}
_REFRESH_TOKEN = "bqTEQ4Ci7C3n2lyGRm1ZyPVVN1gW2DuqSOZ1cCu4yTo"  # noqa: S105 - nobody's
_RECOVERY_CODE = "7K3M-9QXR-2D5F-W8TA"
_RECOVERY_CODES_LEFT: dict[str, JsonValue] = {"left": 8, "made_at": _TIME}
_ACCOUNT: dict[str, JsonValue] = {"user_id": 7, "username": "Ada", "created_at": _TIME, "guest": False}
_SESSION: dict[str, JsonValue] = {
    "session_id": "4fecf4bc-efdc-46b1-a4d1-ea3c6e69f58f",
    "kind": "browser",
    "created_at": _TIME,
    "last_used_at": _TIME,
    "address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "current": True,
}


def _without_default(schema: dict[str, Any]) -> None:
    """What may be left out has no default that could be told."""
    schema.pop("default")


class Credentials(BaseModel):
    """A username and a password, as typed. What no account can have is only wrong."""

    model_config = ConfigDict(strict=True, extra="forbid")

    username: str = Field(max_length=256, description="case and width make no difference", examples=["Ada"])
    password: str = Field(max_length=1024, examples=["correct horse battery"])


class Keeper(StrEnum):
    """Who keeps a refresh token. `cookie`: it is set as a cookie, for a page of this origin. `token`: it is in the answer, and
    no cookie is set; it is sent back in the body of `/auth/refresh` and `/auth/logout`.
    """

    COOKIE = "cookie"
    TOKEN = "token"  # noqa: S105 - a kind, no secret


class LoginCredentials(Credentials):
    """A username and a password, and who keeps the refresh token of the session that begins."""

    session: Keeper = Keeper.COOKIE


class GuestSession(BaseModel):
    """Who keeps the refresh token of a guest's session."""

    model_config = ConfigDict(strict=True, extra="forbid")

    session: Keeper = Keeper.COOKIE


class SessionToken(BaseModel):
    """The refresh token of a session that has it in no cookie."""

    model_config = ConfigDict(strict=True, extra="forbid")

    refresh_token: str = Field(max_length=256, examples=[_REFRESH_TOKEN])


NewName = Annotated[
    str,
    Field(
        max_length=256,
        description="3 to 32 letters, digits, `_ - .` and single spaces between words that RFC 8265 (UsernameCaseMapped) "
        "allows together, counted in Unicode's form NFC; case and width make no other name",
        examples=["Ada"],
        json_schema_extra={"minLength": usernames.MIN_LENGTH, "maxLength": usernames.MAX_LENGTH},
    ),
]
_NewPassword = Annotated[
    str,
    Field(
        max_length=1024,
        description="8 to 128 characters, any but control characters, counted in Unicode's form NFKC; none of the most common "
        "passwords, and none that is made of the username",
        examples=["correct horse battery"],
        json_schema_extra={"minLength": 8, "maxLength": rules.MAX_LENGTH},
    ),
]


class NewAccount(Credentials):
    """The username and the password of a new account, held to their rules by usernames.py and rules.py."""

    username: NewName
    password: _NewPassword


class NewPassword(BaseModel):
    """Another password, and the one that it replaces."""

    model_config = ConfigDict(strict=True, extra="forbid")

    current_password: str = Field(max_length=1024, examples=["correct horse battery"])
    new_password: _NewPassword


class NewRecoveryCodes(BaseModel):
    """The password, without which nobody makes recovery codes."""

    model_config = ConfigDict(strict=True, extra="forbid")

    password: str = Field(max_length=1024, examples=["correct horse battery"])


class Recovery(BaseModel):
    """A recovery code, and the password that it sets. What no account can have is only wrong."""

    model_config = ConfigDict(strict=True, extra="forbid")

    username: str = Field(max_length=256, description="case and width make no difference", examples=["Ada"])
    code: str = Field(
        max_length=recovery_codes.MAX_LENGTH,
        description="as it was shown; case, hyphens and spaces make no difference",
        examples=[_RECOVERY_CODE],
    )
    new_password: _NewPassword


class NewUsername(BaseModel):
    """Another name, held to the rules of a new account's."""

    model_config = ConfigDict(strict=True, extra="forbid")

    username: NewName


class _PasswordAgain(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    password: str | SkipJsonSchema[None] = Field(
        None,
        max_length=1024,
        description="left out by guests and a studio's players, who have no password",
        examples=["correct horse battery"],
        json_schema_extra=_without_default,
    )


class Deletion(_PasswordAgain):
    """The password, without which nobody deletes an account that has one."""


class Confirmation(_PasswordAgain):
    """The password, typed again in a session that goes on."""


class PasswordForm(BaseModel):
    """The OAuth2 password form (RFC 6749, section 4.3.2), which `/auth/login` took before there was a token endpoint."""

    grant_type: Literal["password"] = "password"
    username: str = Field(max_length=256)
    password: str = Field(max_length=1024)


class TokenRequest(BaseModel):
    """The OAuth2 form of a grant (RFC 6749, sections 4.3.2, 4.4.2 and 6). Only keys are clients, and have scopes."""

    grant_type: Literal["password", "refresh_token", "client_credentials"]
    username: str | SkipJsonSchema[None] = Field(
        None, max_length=256, description="of the grant `password`", json_schema_extra=_without_default
    )
    password: str | SkipJsonSchema[None] = Field(
        None, max_length=1024, description="of the grant `password`", json_schema_extra=_without_default
    )
    refresh_token: str | SkipJsonSchema[None] = Field(
        None, max_length=256, description="of the grant `refresh_token`", json_schema_extra=_without_default
    )
    client_id: str | SkipJsonSchema[None] = Field(
        None, max_length=256, description="of the grant `client_credentials`", json_schema_extra=_without_default
    )
    client_secret: str | SkipJsonSchema[None] = Field(
        None, max_length=256, description="of the grant `client_credentials`", json_schema_extra=_without_default
    )
    scope: str | SkipJsonSchema[None] = Field(
        None,
        max_length=256,
        description="for the grant `client_credentials`: which of the key's scopes; all by default",
        json_schema_extra=_without_default,
    )


class Registered(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": 7, "username": "Ada"}]})

    user_id: int
    username: str


class AccessToken(BaseModel):
    """RFC 6749, section 5.1."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCESS_TOKEN]})

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="seconds until the access token expires")


class Tokens(AccessToken):
    """The same, with the refresh token of a session that has it in no cookie."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCESS_TOKEN | {"refresh_token": _REFRESH_TOKEN}]})

    refresh_token: str | SkipJsonSchema[None] = Field(
        None,
        description="replaces the one that was sent; left out if it is in the cookie",
        json_schema_extra=_without_default,
    )


class NewGuest(Tokens):
    """A guest's account, and the tokens of its session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": 7, "username": "BraveOtter4821", **ACCESS_TOKEN}]})

    user_id: int
    username: str = Field(description="made up: two words and a number")


class GrantedTokens(AccessToken):
    """The same from the token endpoint, which sets no cookie."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [ACCESS_TOKEN | {"refresh_token": _REFRESH_TOKEN}, ACCESS_TOKEN | {"scope": "scores:write"}]
        }
    )

    refresh_token: str | SkipJsonSchema[None] = Field(
        None,
        description="replaces the one that was sent; a key has none",
        json_schema_extra=_without_default,
    )
    scope: str | SkipJsonSchema[None] = Field(
        None, description="of a key's: what the access token is good for", json_schema_extra=_without_default
    )


class Account(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_ACCOUNT]})

    user_id: int
    username: str
    created_at: datetime
    guest: bool = Field(description="whether it is a guest's account, which has no password")


class RecoveryCodes(BaseModel):
    """What is good once each in the place of a forgotten password. Nobody is shown them again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"codes": [_RECOVERY_CODE]}]})

    codes: list[str]


class RecoveryCodesLeft(BaseModel):
    """How many recovery codes are not used up."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECOVERY_CODES_LEFT]})

    left: int
    made_at: datetime | None = Field(description="null if none is left")


class Session(BaseModel):
    """A login that goes on: a browser, a game, a device."""

    session_id: uuid.UUID
    kind: Kind = Field(description="a browser keeps its refresh token in a cookie, an app keeps it itself")
    created_at: datetime = Field(description="when its login was")
    last_used_at: datetime = Field(description="when it was renewed last")
    address: str = Field(description="where that came from; empty: not known", examples=["203.0.113.7"])
    user_agent: str = Field(description="what the client calls itself; not verified")
    current: bool = Field(description="whether it is the one that asks")

    @classmethod
    def of(cls, record: SessionRecord, current: uuid.UUID) -> "Session":
        """A session as its owner is shown it, who asks in the session ``current``."""
        return cls(
            session_id=record.session_id,
            kind=record.kind,
            created_at=record.created_at,
            last_used_at=record.last_used_at,
            address=record.address,
            user_agent=record.user_agent,
            current=record.session_id == current,
        )


class OwnSessions(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"sessions": [_SESSION]}]})

    sessions: list[Session]


class StaffRole(BaseModel):
    """The role that a person has."""

    role: Role
    granted_at: datetime
    second_factor_since: datetime | None = Field(description="since when there is a second factor; null if there is none")


class KeptUsername(BaseModel):
    """A name that was given up, and that its owner may take back."""

    username: str
    kept_until: datetime


class ExternalIdentity(BaseModel):
    """An account elsewhere, by which a studio knows the player."""

    provider: str
    external_id: str


class AccountEvent(BaseModel):
    """Something that happened to the account."""

    event: str
    occurred_at: datetime
    address: str | None = Field(description="the address it came from; null if that is not known or not kept any more")
    detail: dict[str, Any] | None


class AccountExport(BaseModel):
    """All that the auth service keeps of a person, but secrets: hashes of password, tokens and codes, the second factor's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account": _ACCOUNT,
                    "staff": {"role": "moderator", "granted_at": _TIME, "second_factor_since": _TIME},
                    "sessions": [_SESSION],
                    "kept_usernames": [{"username": "Countess", "kept_until": "2026-03-01T12:00:00Z"}],
                    "recovery_codes": _RECOVERY_CODES_LEFT,
                    "external_identities": [{"provider": "steam", "external_id": "76561197960287930"}],
                    "events": [{"event": "registered", "occurred_at": _TIME, "address": "203.0.113.7", "detail": {}}],
                }
            ]
        }
    )

    account: Account
    staff: StaffRole | None = Field(description="null if there is no role")
    sessions: list[Session]
    kept_usernames: list[KeptUsername]
    recovery_codes: RecoveryCodesLeft
    external_identities: list[ExternalIdentity]
    events: list[AccountEvent]
