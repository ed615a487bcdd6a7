"""HTTP of keys, by which game servers and other programs of the studio's sign in. They are staff's to make and to end."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from services.auth.errors import KeyNotFound, TooManyEvents, TooManyKeys
from services.auth.http.dependencies import STAFF, Admin, ClientId, Keys, Sender, new_router
from services.auth.keys.records import KeyRecord
from services.common.http.problems import BodyTooLarge, InvalidRequest, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import JSON, Time, body_schema, json_body
from services.common.tokens import Scope

router = new_router("keys")

_TIME = "2026-02-01T12:00:00Z"
_CLIENT_ID = "key-6bcvfkq2r7zq3d5hs4m2ytxu7e"
_KEY: dict[str, JsonValue] = {
    "client_id": _CLIENT_ID,
    "name": "eu-1",
    "scopes": ["scores:write"],
    "created_by": 7,
    "created_at": _TIME,
    "expires_at": "2027-02-01T12:00:00Z",
    "last_used_at": _TIME,
    "secrets": 1,
}
_MADE: dict[str, JsonValue] = {
    "client_id": _CLIENT_ID,
    "client_secret": "bqTEQ4Ci7C3n2lyGRm1ZyPVVN1gW2DuqSOZ1cCu4yTo",
    "name": "eu-1",
    "scopes": ["scores:write"],
    "created_at": _TIME,
    "expires_at": "2027-02-01T12:00:00Z",
}


def _printable(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("a key's name has printable characters only, and no space at either end")
    return name


def _once_each(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("each scope is named once")
    return scopes


class NewKey(BaseModel):
    """What a key is to be called, and what it may be used for."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[str, AfterValidator(_printable)] = Field(min_length=1, max_length=64, examples=["eu-1"])
    scopes: Annotated[list[Literal[Scope.BOARDS, Scope.MODERATE, Scope.PLAYERS, Scope.SCORES]], AfterValidator(_once_each)] = (
        Field(
            min_length=1,
            description="a subset of your own access token's scopes; `admin` is not possible",
            examples=[["scores:write"]],
            json_schema_extra={"uniqueItems": True},
        )
    )
    expires_at: Time | None = Field(None, description="in the future; null: it does not expire")


class MadeKey(BaseModel):
    """A key, and the secret that it was given just now."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MADE]})

    client_id: str
    client_secret: str = Field(description="shown this once")
    name: str
    scopes: list[Scope]
    created_at: datetime = Field(description="when the key was made")
    expires_at: datetime | None

    @classmethod
    def of(cls, key: KeyRecord, secret: str) -> "MadeKey":
        """What is answered when ``secret`` was made."""
        return cls(
            client_id=key.client_id,
            client_secret=secret,
            name=key.name,
            scopes=list(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )


class KeyShown(BaseModel):
    """A key as staff see it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    client_id: str
    name: str
    scopes: list[Scope]
    created_by: int | None = Field(description="the admin who created it; null if that account is gone")
    created_at: datetime
    expires_at: datetime | None = Field(description="null if it does not expire")
    last_used_at: datetime | None = Field(description="when it last got a token, to the minute; null if never")
    secrets: int = Field(description="how many are good; of three the oldest ends")

    @classmethod
    def of(cls, key: KeyRecord) -> "KeyShown":
        """What is shown of a key."""
        return cls(
            client_id=key.client_id,
            name=key.name,
            scopes=list(key.scopes),
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            secrets=key.secrets,
        )


class KeysShown(BaseModel):
    """Every key, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": [_KEY]}]})

    keys: list[KeyShown]


AskedKey = Annotated[NewKey, Depends(json_body(NewKey))]


@router.post(
    "/keys",
    status_code=201,
    summary="Create a key",
    description="A key is a pair of OAuth 2.0 client credentials: `POST /auth/token` answers with an access token for it. The "
    "secret is shown this once. There are at most 40 keys; expired ones do not count.",
    responses=documented(
        *STAFF, TooManyKeys, TooManyEvents, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable
    ),
    openapi_extra=body_schema({JSON: NewKey}),
)
async def make_key(caller: Admin, asked: AskedKey, keys: Keys, sender: Sender) -> MadeKey:
    return MadeKey.of(*await keys.make(caller, asked.name, asked.scopes, asked.expires_at, sender))


@router.get("/keys", summary="List keys", responses=documented(*STAFF, ServiceUnavailable))
async def list_keys(caller: Admin, keys: Keys) -> KeysShown:
    return KeysShown(keys=[KeyShown.of(key) for key in await keys.list_all(caller)])


@router.get(
    "/keys/{client_id}",
    summary="A key",
    responses=documented(*STAFF, KeyNotFound, InvalidRequest, ServiceUnavailable),
)
async def key(caller: Admin, client_id: ClientId, keys: Keys) -> KeyShown:
    return KeyShown.of(await keys.get(caller, client_id))


@router.post(
    "/keys/{client_id}/secrets",
    status_code=201,
    summary="Create a new secret for a key",
    description="The secret before it stays valid until a third is created, or until you end it. Give the new secret to your "
    "servers first, then end the older ones.",
    responses=documented(*STAFF, KeyNotFound, TooManyEvents, InvalidRequest, ServiceUnavailable),
)
async def rotate_key(caller: Admin, client_id: ClientId, keys: Keys, sender: Sender) -> MadeKey:
    return MadeKey.of(*await keys.rotate(caller, client_id, sender))


@router.delete(
    "/keys/{client_id}/secrets",
    status_code=204,
    summary="End a key's older secrets",
    description="Tokens that were issued for them are valid until they expire, 10 minutes by default.",
    responses=documented(*STAFF, KeyNotFound, TooManyEvents, InvalidRequest, ServiceUnavailable),
)
async def end_older_secrets(caller: Admin, client_id: ClientId, keys: Keys, sender: Sender) -> None:
    await keys.end_older_secrets(caller, client_id, sender)


@router.delete(
    "/keys/{client_id}",
    status_code=204,
    summary="Revoke a key",
    description="The key gets no more tokens. This service refuses its existing tokens at once, and the leaderboard service "
    "within a second.",
    responses=documented(*STAFF, KeyNotFound, TooManyEvents, InvalidRequest, ServiceUnavailable),
)
async def revoke_key(caller: Admin, client_id: ClientId, keys: Keys, sender: Sender) -> None:
    await keys.revoke(caller, client_id, sender)
