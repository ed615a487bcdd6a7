"""HTTP of the staff: who has which role. For admins."""

from typing import Annotated

from fastapi import Depends, Path, Request, Response

from services.auth.errors import LastAdmin, NoSecondFactor, NotForGuests, TooManyEvents
from services.auth.http.dependencies import STAFF, Admin, Sender, new_router
from services.auth.http.staff_schemas import NewRole, StaffList, StaffMember
from services.auth.roles import RoleService
from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, body_schema, json_body
from services.common.tokens import MAX_USER_ID

router = new_router("staff")


async def _roles(request: Request) -> RoleService:
    roles: RoleService = request.app.state.roles
    return roles


Roles = Annotated[RoleService, Depends(_roles)]
UserId = Annotated[int, Path(ge=1, le=MAX_USER_ID, description="the user's number"), DECIMAL]


@router.get("/staff", summary="List the staff", responses=documented(*STAFF, ServiceUnavailable))
async def list_staff(admin: Admin, roles: Roles) -> StaffList:
    return StaffList(staff=[StaffMember.of(each) for each in await roles.list_staff(admin)])


@router.put(
    "/staff/{user_id}",
    summary="Give a user a role",
    description="A `moderator` has the scope `moderate`, an `admin` has all scopes. They are in access tokens that are issued "
    "from then on, in sessions with the second factor. Tokens that were issued before stay as they are, for 15 minutes by "
    "default.",
    responses={
        201: {"model": StaffMember, "description": "They had no role before"},
        **documented(
            *STAFF,
            NotFound,
            NotForGuests,
            LastAdmin,
            TooManyEvents,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            ServiceUnavailable,
        ),
    },
    openapi_extra=body_schema({JSON: NewRole}),
)
async def give_role(
    user_id: UserId,
    admin: Admin,
    given: Annotated[NewRole, Depends(json_body(NewRole))],
    roles: Roles,
    sender: Sender,
    response: Response,
) -> StaffMember:
    staff, made = await roles.give(admin, user_id, given.role, sender)
    response.status_code = 201 if made else 200
    return StaffMember.of(staff)


@router.delete(
    "/staff/{user_id}",
    status_code=204,
    summary="Remove a user's role",
    description="Removes their second factor and staff codes too. New access tokens lack the role's scopes, and this service "
    "ignores those of old ones. The leaderboard service accepts old ones until they expire, 15 minutes by default.",
    responses=documented(*STAFF, NotFound, LastAdmin, TooManyEvents, InvalidRequest, ServiceUnavailable),
)
async def take_role(user_id: UserId, admin: Admin, roles: Roles, sender: Sender) -> None:
    await roles.take(admin, user_id, sender)


@router.delete(
    "/staff/{user_id}/second-factor",
    status_code=204,
    summary="Reset a user's second factor",
    description="For staff who have lost the device and the staff codes. They then set up another second factor.",
    responses=documented(*STAFF, NotFound, NoSecondFactor, TooManyEvents, InvalidRequest, ServiceUnavailable),
)
async def reset_second_factor(user_id: UserId, admin: Admin, roles: Roles, sender: Sender) -> None:
    await roles.reset_second_factor(admin, user_id, sender)
