"""HTTP of recovery codes: making them, and coming back to an account with one."""

from services.auth.errors import (
    InvalidRecoveryCode,
    NotForGuests,
    PasswordQueueFull,
    TooManyEvents,
    TooManyFailures,
    WrongPassword,
)
from services.auth.http.dependencies import (
    SIGNED_IN,
    Caller,
    CodesRequest,
    KnownDevice,
    OwnAccount,
    Recoveries,
    RecoveryRequest,
    Sender,
    new_router,
)
from services.auth.http.schemas import NewRecoveryCodes, Recovery, RecoveryCodes, RecoveryCodesLeft
from services.common.http.problems import BodyTooLarge, InvalidRequest, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import JSON, body_schema

router = new_router("recovery")


@router.get(
    "/me/recovery-codes",
    summary="Count my recovery codes",
    description="The codes themselves are shown once, when they are created.",
    responses=documented(*SIGNED_IN, ServiceUnavailable),
)
async def count_codes(caller: Caller, recoveries: Recoveries) -> RecoveryCodesLeft:
    unused = await recoveries.count_codes(caller)
    return RecoveryCodesLeft(left=unused.left, made_at=unused.made_at)


@router.post(
    "/me/recovery-codes",
    status_code=201,
    summary="Create recovery codes",
    description="Answers with 8 codes, which are shown only this once: the service stores their hashes. Each can be used "
    "once, in `POST /auth/recover`, and does not expire. New codes replace earlier ones. A changed password does not. A "
    "guest has no password and gets no codes. Wrong passwords are counted by session, together with those of the other "
    "routes that ask for the password.",
    responses=documented(
        *SIGNED_IN,
        WrongPassword,
        TooManyFailures,
        PasswordQueueFull,
        NotForGuests,
        TooManyEvents,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: NewRecoveryCodes}),
)
async def make_codes(caller: Caller, asked: CodesRequest, account: OwnAccount, sender: Sender) -> RecoveryCodes:
    return RecoveryCodes(codes=await account.make_recovery_codes(caller, asked.password, sender))


@router.post(
    "/recover",
    status_code=204,
    summary="Set a new password with a recovery code",
    description="Uses the code, ends every session of the account and clears its count of wrong passwords. It begins no "
    "session and sets no cookie: sign in with the new password. An unknown username, an account without codes, a wrong "
    "code and a used one get the same answer. They are counted and delayed together with the wrong passwords of "
    "`/auth/login`.",
    responses=documented(
        InvalidRecoveryCode,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        TooManyFailures,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: Recovery}),
)
async def recover(asked: RecoveryRequest, recoveries: Recoveries, sender: Sender, device: KnownDevice) -> None:
    await recoveries.recover(asked.username, asked.code, asked.new_password, sender, device)
