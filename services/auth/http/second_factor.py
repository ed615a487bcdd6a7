"""HTTP of one's own second factor. For staff."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.errors import (
    NoSecondFactor,
    NotStaff,
    SecondFactorNeeded,
    SecondFactorUnreadable,
    TooManyEvents,
    TooManyWrongCodes,
    WrongCode,
)
from services.auth.http.dependencies import SIGNED_IN, Caller, RecentCaller, Sender, new_router
from services.auth.http.schemas import AccessToken
from services.auth.http.staff_schemas import (
    ConfirmedSecondFactor,
    DeviceCode,
    NewSecondFactor,
    SecondFactorCode,
    StaffCodes,
)
from services.auth.second_factor import SecondFactorService
from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    PasswordTooOld,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema, json_body

router = new_router("staff")


async def _second_factor(request: Request) -> SecondFactorService:
    second_factor: SecondFactorService = request.app.state.second_factor
    return second_factor


OwnFactor = Annotated[SecondFactorService, Depends(_second_factor)]
_RECENT = *SIGNED_IN, PasswordTooOld, NotStaff
_BODY = BodyTooLarge, UnsupportedMediaType, InvalidRequest


@router.post(
    "/me/second-factor",
    summary="Set up a second factor",
    description="Answers with a secret for an authenticator app (TOTP, RFC 6238), as text, as a URI and as a QR code. It is "
    "shown once, and takes effect when a code of it is confirmed. To replace a second factor, call this in a session that "
    "has it.",
    responses=documented(*_RECENT, SecondFactorNeeded, TooManyEvents, ServiceUnavailable),
)
async def begin_second_factor(caller: RecentCaller, factor: OwnFactor, sender: Sender) -> NewSecondFactor:
    begun = await factor.begin(caller, sender)
    return NewSecondFactor(secret=begun.secret, uri=begun.uri, qr=begun.qr)


@router.post(
    "/me/second-factor/confirm",
    summary="Confirm my second factor",
    description="Takes a code of the new secret. From then on this session, and no other, has the second factor: its access "
    "tokens carry the role's scopes. The staff codes are shown once. Each can be used once in place of a code.",
    responses=documented(
        *_RECENT,
        SecondFactorNeeded,
        NoSecondFactor,
        WrongCode,
        TooManyWrongCodes,
        *_BODY,
        SecondFactorUnreadable,
    ),
    openapi_extra=body_schema({JSON: DeviceCode}),
)
async def confirm_second_factor(
    caller: RecentCaller, typed: Annotated[DeviceCode, Depends(json_body(DeviceCode))], factor: OwnFactor, sender: Sender
) -> ConfirmedSecondFactor:
    codes, token, lifetime = await factor.confirm(caller, typed.code, sender)
    return ConfirmedSecondFactor(staff_codes=codes, access_token=token, expires_in=int(lifetime.total_seconds()))


@router.post(
    "/second-factor",
    summary="Enter my second factor",
    description="Takes a code of the device or a staff code. Each can be used once. Answers with an access token of this "
    "session that carries the role's scopes, as do those of later refreshes. Too many wrong codes for an account delay "
    "the next attempt.",
    responses=documented(*SIGNED_IN, NotStaff, NoSecondFactor, WrongCode, TooManyWrongCodes, *_BODY, SecondFactorUnreadable),
    openapi_extra=body_schema({JSON: SecondFactorCode}),
)
async def give_second_factor(
    caller: Caller,
    typed: Annotated[SecondFactorCode, Depends(json_body(SecondFactorCode))],
    factor: OwnFactor,
    sender: Sender,
) -> AccessToken:
    token, lifetime = await factor.give(caller, typed.code, sender)
    return AccessToken(access_token=token, expires_in=int(lifetime.total_seconds()))


@router.post(
    "/me/staff-codes",
    summary="Create new staff codes",
    description="They replace the ones that are left, and are shown once.",
    responses=documented(*_RECENT, SecondFactorNeeded, NoSecondFactor, TooManyEvents, ServiceUnavailable),
)
async def make_staff_codes(caller: RecentCaller, factor: OwnFactor, sender: Sender) -> StaffCodes:
    return StaffCodes(staff_codes=await factor.make_codes(caller, sender))


@router.delete(
    "/me/second-factor",
    status_code=204,
    summary="Remove my second factor",
    description="Removes the staff codes too. No session has the second factor any more, so new access tokens are those of a "
    "player.",
    responses=documented(*_RECENT, SecondFactorNeeded, NoSecondFactor, TooManyEvents, ServiceUnavailable),
)
async def remove_second_factor(caller: RecentCaller, factor: OwnFactor, sender: Sender) -> None:
    await factor.remove(caller, sender)
