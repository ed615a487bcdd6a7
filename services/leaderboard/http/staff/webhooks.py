"""HTTP of webhooks, for admins: the URLs that are told of events, and what became of each telling."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response, Security
from pydantic import BaseModel, ConfigDict, Field

from services.common.http.authentication import authorized
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    InvalidRequest,
    Problem,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, body_schema, json_body
from services.common.tokens import Caller, Scope
from services.leaderboard.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound
from services.leaderboard.events import Kind
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import PREFIX, Cursor, Subscribing, answered
from services.leaderboard.http.examples import shown
from services.leaderboard.rules.names import BOARD_NAME
from services.leaderboard.staff.subscriptions import Subscription
from services.leaderboard.webhooks.deliveries import DeliveryRecord, DeliveryState
from services.leaderboard.webhooks.endpoints import WebhookState
from services.leaderboard.webhooks.messages import make_id
from services.leaderboard.webhooks.targets import MAX_URL

router = APIRouter(prefix=f"{PREFIX}/webhooks", tags=["webhooks"])

_SECRET = "what signs its messages (Standard Webhooks 1.0); it is shown this once"  # noqa: S105 - a sentence about it


class WebhookBody(BaseModel):
    """A webhook, whole."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": examples.WEBHOOK["url"], "events": examples.WEBHOOK["events"]}]},
    )

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL, strict=True)] = Field(
        description="where its messages are posted: https, at a public address"
    )
    events: Annotated[list[Kind], Field(min_length=1, max_length=20)] = Field(description="the events that it gets")


class WebhookShown(BaseModel):
    """A webhook."""

    model_config = shown(examples.WEBHOOK)

    name: str
    url: str
    events: list[str]
    state: WebhookState = Field(description="`off`: it has answered 410, and gets no messages until it is put again")
    paused_until: datetime | None = Field(description="no message is sent before this time, because of its `Retry-After`")
    old_secret_until: datetime | None = Field(description="until then messages are also signed with the former secret")
    created_at: datetime
    pending: int = Field(description="deliveries that wait")
    failed: int = Field(description="deliveries that failed in the last 30 days")


class WebhookMade(WebhookShown):
    """A webhook that has just been made."""

    model_config = shown({**examples.WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})

    secret: str = Field(description=_SECRET)


class Webhooks(BaseModel):
    """Every webhook, by name."""

    model_config = shown({"webhooks": [examples.WEBHOOK]})

    webhooks: list[WebhookShown]


class WebhookSecret(BaseModel):
    """A webhook's new secret."""

    model_config = shown(
        {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "old_secret_until": "2026-02-04T13:00:00Z"},
    )

    secret: str = Field(description=_SECRET)
    old_secret_until: datetime = Field(description="until then messages are also signed with the former secret")


class DeliveryShown(BaseModel):
    """An event that a webhook is told of, or was, or was given up for."""

    model_config = shown(examples.DELIVERY)

    delivery_id: int
    event_id: str = Field(description="the header `webhook-id` of each try")
    type: str = Field(description="what happened")
    state: DeliveryState
    happened_at: datetime
    tries: int = Field(description="how often it was tried since it was created or replayed")
    tried_at: datetime | None = Field(description="when it was tried last")
    next_at: datetime | None = Field(description="when it is tried next, if it waits")
    status: int | None = Field(description="what was answered last; null: nothing")
    error: str | None = Field(description="why the last try failed; null: it did not")


class DeliveriesShown(BaseModel):
    """A page of a webhook's deliveries, newest first."""

    model_config = shown({"deliveries": [examples.DELIVERY], "next_cursor": examples.CURSOR})

    deliveries: list[DeliveryShown]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


class Replayed(BaseModel):
    """How many deliveries are tried again."""

    model_config = shown({"replayed": 3})

    replayed: int


Admin = Annotated[Caller, Security(authorized, scopes=[Scope.ADMIN])]
Name = Annotated[str, Path(pattern=BOARD_NAME, description="the webhook's name")]
DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1), DECIMAL]
State = Annotated[DeliveryState | None, Query(description="only those that have come so far")]
Deliveries = Annotated[int, Query(ge=1, le=100, description="deliveries on the page, at most"), DECIMAL]
_ONE: tuple[type[Problem], ...] = (*SCOPED, WebhookNotFound, InvalidRequest, ServiceUnavailable)
_NO_STORE = {"Cache-Control": "no-store"}


@router.put(
    "/{webhook}",
    summary="Create or change a webhook",
    description="The body is the whole webhook. The first answer has the secret that signs its messages. A repeat switches it "
    "on again if it was off. A URL at an address that is not public is refused (422), unless it is in a network of "
    "`WEBHOOK_NETWORKS`.",
    response_model=WebhookShown,
    responses={
        **documented(*SCOPED, TooManyWebhooks, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
        200: {"description": "The webhook is what was sent"},
        201: {"description": "The webhook is new", "model": WebhookMade},
    },
    openapi_extra=body_schema({JSON: WebhookBody}),
)
async def put_webhook(
    webhook: Name,
    caller: Admin,  # before the body is looked at
    body: Annotated[WebhookBody, Depends(json_body(WebhookBody))],
    subscriptions: Subscribing,
) -> Response:
    put = await subscriptions.put(webhook, body.url, body.events, caller)
    if put.secret is None:
        return answered(_webhook(put))
    return answered(WebhookMade(**_webhook(put).model_dump(), secret=put.secret), 201)


@router.get(
    "",
    summary="List webhooks",
    response_model=Webhooks,
    responses=documented(*SCOPED, ServiceUnavailable),
)
async def list_webhooks(_: Admin, subscriptions: Subscribing) -> Response:
    return answered(Webhooks(webhooks=[_webhook(each) for each in await subscriptions.list()]))


@router.get(
    "/{webhook}",
    summary="A webhook",
    response_model=WebhookShown,
    responses=documented(*_ONE),
)
async def get_webhook(webhook: Name, _: Admin, subscriptions: Subscribing) -> Response:
    return answered(_webhook(await subscriptions.get(webhook)))


@router.delete(
    "/{webhook}",
    status_code=204,
    summary="Delete a webhook",
    description="Nothing more is sent to it, and its deliveries are deleted.",
    response_class=Response,
    responses=documented(*_ONE),
)
async def delete_webhook(webhook: Name, caller: Admin, subscriptions: Subscribing) -> Response:
    await subscriptions.delete(webhook, caller)
    return Response(status_code=204, headers=_NO_STORE)


@router.post(
    "/{webhook}/secrets",
    status_code=201,
    summary="Create a new secret for a webhook",
    description="For 24 hours messages are signed with the new secret and with the one before. Called twice, the first of the "
    "three is not used any more.",
    response_model=WebhookSecret,
    responses=documented(*_ONE),
)
async def make_webhook_secret(webhook: Name, caller: Admin, subscriptions: Subscribing) -> Response:
    return answered(WebhookSecret(**(await subscriptions.rotate(webhook, caller))._asdict()), 201)


@router.post(
    "/{webhook}/test",
    status_code=202,
    summary="Send a test event to a webhook",
    description="Sends an event `webhook.test` to this webhook alone, in the usual way.",
    response_model=DeliveryShown,
    responses=documented(*_ONE),
)
async def test_webhook(webhook: Name, caller: Admin, subscriptions: Subscribing) -> Response:
    return answered(_delivery(await subscriptions.test(webhook, caller)), 202)


@router.get(
    "/{webhook}/deliveries",
    summary="List a webhook's deliveries",
    description="Newest first. Delivered ones are kept for 7 days, failed ones for 30.",
    response_model=DeliveriesShown,
    responses=documented(*_ONE),
)
async def list_deliveries(
    webhook: Name,
    _: Admin,
    subscriptions: Subscribing,
    state: State = None,
    limit: Deliveries = 20,
    cursor: Cursor = None,
) -> Response:
    page = await subscriptions.deliveries(webhook, state, limit, cursor)
    return answered(DeliveriesShown(deliveries=[_delivery(each) for each in page.deliveries], next_cursor=page.next_cursor))


@router.post(
    "/{webhook}/deliveries/replay",
    status_code=202,
    summary="Retry all failed deliveries",
    description="Their ids stay the same.",
    response_model=Replayed,
    responses=documented(*_ONE),
)
async def replay_failed_deliveries(webhook: Name, caller: Admin, subscriptions: Subscribing) -> Response:
    return answered(Replayed(replayed=await subscriptions.replay_failed(webhook, caller)), 202)


@router.post(
    "/{webhook}/deliveries/{delivery_id}/replay",
    status_code=202,
    summary="Retry a delivery",
    description="Possible in any state. Its id stays the same.",
    response_model=DeliveryShown,
    responses=documented(*_ONE, DeliveryNotFound),
)
async def replay_delivery(webhook: Name, delivery_id: DeliveryId, caller: Admin, subscriptions: Subscribing) -> Response:
    return answered(_delivery(await subscriptions.replay(webhook, delivery_id, caller)), 202)


def _webhook(subscription: Subscription) -> WebhookShown:
    fields = subscription.webhook._asdict()
    del fields["webhook_id"]
    return WebhookShown(**fields, pending=subscription.pending, failed=subscription.failed)


def _delivery(record: DeliveryRecord) -> DeliveryShown:
    return DeliveryShown(
        delivery_id=record.delivery_id,
        event_id=make_id(record.nonce, record.event_id),
        type=record.kind,
        state=record.state,
        happened_at=record.created_at,
        tries=record.tries,
        tried_at=record.tried_at,
        next_at=record.next_at if record.state is DeliveryState.PENDING else None,
        status=record.status,
        error=record.error,
    )
