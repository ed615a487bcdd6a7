"""What is sent and answered about staff: roles, second factors and the codes for a lost device."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.auth.http.schemas import ACCESS_TOKEN, AccessToken
from services.auth.staff import codes
from services.auth.staff.roles import Role, StaffRecord

# Of what is answered.
_TIME = "2026-02-01T12:00:00Z"
_STAFF_CODES: list[JsonValue] = ["mzxw-6ytb-oi5d-k3tq-ojsx-g4tj"]
_STAFF: dict[str, JsonValue] = {
    "user_id": 7,
    "username": "Ada",
    "role": "moderator",
    "granted_by": 1,
    "granted_at": _TIME,
    "second_factor_since": _TIME,
}


class NewRole(BaseModel):
    """The role that somebody is given."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Role


class StaffMember(BaseModel):
    """Somebody of the staff."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STAFF]})

    user_id: int
    username: str
    role: Role
    granted_by: int | None = Field(description="the number of the admin who gave the role; null if an operator did")
    granted_at: datetime
    second_factor_since: datetime | None = Field(description="null if there is none yet; then the role gives no scopes")

    @classmethod
    def of(cls, record: StaffRecord) -> "StaffMember":
        """One of the staff as admins are shown them."""
        return cls(
            user_id=record.user_id,
            username=record.username,
            role=record.role,
            granted_by=record.granted_by,
            granted_at=record.granted_at,
            second_factor_since=record.second_factor_since,
        )


class StaffList(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"staff": [_STAFF]}]})

    staff: list[StaffMember]


class NewSecondFactor(BaseModel):
    """A secret for an authenticator app, in each of the ways that apps take it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"secret": "JBSWY3DPEHPK3PXP…", "uri": "otpauth://totp/leaderboard-auth:Ada?…", "qr": "<svg …"}]
        }
    )

    secret: str = Field(description="in base32")
    uri: str = Field(description="the same for an app on this device")
    qr: str = Field(description="the same as a QR code: an SVG document")


class DeviceCode(BaseModel):
    """A code as the authenticator app shows it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    code: str = Field(pattern="^[0-9]{6}$", examples=["287082"])


class SecondFactorCode(BaseModel):
    """A code as the authenticator app shows it, or a staff code."""

    model_config = ConfigDict(strict=True, extra="forbid")

    code: str = Field(pattern=f"^([0-9]{{6}}|{codes.PATTERN})$", examples=["287082"])


class StaffCodes(BaseModel):
    """Codes for when the device is lost."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"staff_codes": _STAFF_CODES}]})

    staff_codes: list[str] = Field(description="each good once; they are not shown again")


class ConfirmedSecondFactor(AccessToken, StaffCodes):
    """An access token of the session that has the second factor now, and codes for when the device is lost."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCESS_TOKEN | {"staff_codes": _STAFF_CODES}]})
