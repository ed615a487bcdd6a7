"""HTTP of an account's export, which is written while it is sent."""

import json
from collections.abc import AsyncGenerator, Sequence
from json.encoder import encode_basestring

from fastapi import Response
from pydantic import BaseModel

from services.auth.audit.clients import Client
from services.auth.audit.events import AuditRecord
from services.auth.errors import ExportUnderWay, TooManyEvents
from services.auth.exports import AccountData, AccountExports
from services.auth.http.dependencies import SIGNED_IN, Caller, Exports, Sender, new_router
from services.auth.http.schemas import (
    Account,
    AccountExport,
    ExternalIdentity,
    KeptUsername,
    RecoveryCodesLeft,
    Session,
    StaffRole,
)
from services.common.http.problems import ServiceUnavailable, documented
from services.common.http.streams import JSONStream
from services.common.tokens import Principal

router = new_router("account")


@router.get(
    "/me/export",
    summary="Export my account data",
    description="One JSON document, written while it is sent. If the connection ends before the document does, ask again. One "
    "export at a time, and 60 a minute. The leaderboard's part is at `/api/leaderboard/me/export`.",
    response_model=AccountExport,
    responses={
        **documented(*SIGNED_IN, ExportUnderWay, TooManyEvents, ServiceUnavailable),
        200: {"headers": {"Content-Disposition": {"description": "a file to keep", "schema": {"type": "string"}}}},
    },
)
async def export(caller: Caller, exports: Exports, sender: Sender) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="account.json"'}
    return await JSONStream.begin(_document(exports, caller, sender), headers)


async def _document(exports: AccountExports, caller: Principal, client: Client) -> AsyncGenerator[bytes, None]:
    """The document (`AccountExport`) in pieces, each of whole values."""
    async with exports.begin(caller, client) as export:
        before = _head(export.data, caller)
        async for page in export.pages():
            yield before + ",".join(map(_event, page)).encode()
            before = b","
        yield before.removesuffix(b",") + b"]}"


def _head(data: AccountData, caller: Principal) -> bytes:
    user = data.user
    account = Account(user_id=user.user_id, username=user.username, created_at=user.created_at, guest=data.guest)
    sessions = [Session.of(each, caller.session_id) for each in data.sessions]
    names = [KeptUsername(username=each.username, kept_until=each.kept_until) for each in data.kept_names]
    staff = data.staff and StaffRole(
        role=data.staff.role, granted_at=data.staff.granted_at, second_factor_since=data.staff.second_factor_since
    )
    role = staff.model_dump_json() if staff else "null"
    codes = RecoveryCodesLeft(left=data.recovery_codes.left, made_at=data.recovery_codes.made_at)
    identities = [ExternalIdentity(provider=each.provider, external_id=each.external_id) for each in data.identities]
    return (
        f'{{"account":{account.model_dump_json()},"staff":{role},"sessions":{_array(sessions)},"kept_usernames":{_array(names)},'
        f'"external_identities":{_array(identities)},"recovery_codes":{codes.model_dump_json()},"events":['
    ).encode()


def _array(models: Sequence[BaseModel]) -> str:
    return f"[{','.join(each.model_dump_json() for each in models)}]"


def _event(record: AuditRecord) -> str:
    """`AccountEvent`. Written straight from what was read, since there may be 100,000."""
    time = record.occurred_at.isoformat().replace("+00:00", "Z")
    address = "null" if record.address is None else encode_basestring(record.address)
    detail = json.dumps(record.detail, ensure_ascii=False, separators=(",", ":"))
    return f'{{"event":{encode_basestring(record.event)},"occurred_at":"{time}","address":{address},"detail":{detail}}}'
