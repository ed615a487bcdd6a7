"""HTTP of voiding many sessions at once, for staff and for keys with the scope `moderate`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.common.http.problems import (
    SCOPED,
    InvalidRequest,
    ServiceUnavailable,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, Time, body_schema, json_body
from services.common.tokens import MAX_USER_ID
from services.leaderboard.boards.document import MetricName, Name, TagValue, Value, refuse, whole
from services.leaderboard.errors import VoidJobConflict, VoidJobNotFound
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import PREFIX, Cursor, VoidingMany, answered
from services.leaderboard.http.examples import shown
from services.leaderboard.http.staff.moderation import ACT, Doer, GivenReason, Moderator, OptionalReason, Reason, WithReason
from services.leaderboard.moderation.entries import Order
from services.leaderboard.rules.voided import Became
from services.leaderboard.voids.filters import Filter
from services.leaderboard.voids.jobs import Job
from services.leaderboard.voids.previews import FIRST, Preview

router = APIRouter(prefix=PREFIX, tags=["moderation"])

_BECAME = {
    Became.FOUND: "found",
    Became.VOIDED: "voided",
    Became.LEFT: "left_alone",
    Became.RESTORED: "restored",
    Became.NOT_RESTORED: "not_restored",
}


class SessionFilter(BaseModel):
    """Which game sessions are meant: those that fit every member that is said, of which there is one at least."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"minProperties": 1})

    tags: Annotated[dict[MetricName, TagValue], Field(min_length=1, max_length=8)] | None = Field(
        None, description="tagged with each of these", examples=[{"build": "1.4.2"}]
    )
    user_id: Annotated[int, Field(ge=1, le=MAX_USER_ID), BeforeValidator(whole, json_schema_input_type=int)] | None = Field(
        None, description="of this player", examples=[7]
    )
    board: Name | None = Field(None, description="that count on this board, or would", examples=["alps"])
    since: Time | None = Field(None, description="played at this time or later")
    until: Time | None = Field(None, description="played before this time")
    min_score: Value | None = Field(None, description="with this score or a greater one")
    max_score: Value | None = Field(None, description="with this score or a smaller one")

    @model_validator(mode="after")
    def _says_something(self) -> "SessionFilter":
        if not self.model_dump(exclude_none=True):
            raise PydanticCustomError("empty_filter", "It has one member at least: every session is not meant")
        if self.since and self.until and self.until <= self.since:
            refuse(("until",), "It is later than since")
        if self.min_score is not None and self.max_score is not None and self.max_score < self.min_score:
            refuse(("max_score",), "It is not smaller than min_score")
        return self

    def filter(self) -> Filter:
        return Filter(**{**self.model_dump(), "tags": self.tags or {}})


class VoidPreview(BaseModel):
    """Which sessions to look for."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"filter": examples.FILTER}]})

    filter: SessionFilter


class VoidOrder(Reason):
    """Which sessions to void, and why."""

    filter: SessionFilter


class FoundShown(BaseModel):
    session_id: int
    user_id: int
    username: str
    score: int
    submitted_at: datetime
    played_at: datetime | None = Field(description="when it was played, if a game server sent a time")
    metrics: dict[str, int]
    tags: dict[str, str]


class VoidPreviewShown(BaseModel):
    """What a job would void, were it begun now."""

    model_config = shown(examples.VOID_PREVIEW)

    sessions: int = Field(description="how many fit that are not voided yet")
    players: int = Field(description="of how many players")
    complete: bool = Field(description="false if there was no time to go through the whole log")
    first: list[FoundShown] = Field(description=f"the first {FIRST} of them")


class FilterShown(BaseModel):
    tags: dict[str, str] | None = None
    user_id: int | None = None
    board: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_score: int | None = None
    max_score: int | None = None


class VoidJobShown(BaseModel):
    """A job that voids many sessions, and how far it has come."""

    model_config = shown(examples.VOID_JOB)

    job_id: int
    state: str = Field(description="finding, voiding, done, cancelled, undoing, or undone")
    filter: FilterShown
    reason: str
    by: Doer
    upto_session_id: int = Field(description="later sessions are not voided")
    looked_at_session_id: int = Field(description="the last session of the log that was looked at")
    found: int = Field(description="sessions that fit")
    done: int = Field(description="of these, those that were gone through")
    voided: int = Field(description="how many of them the job voided; the others were voided or erased before")
    restored: int = Field(description="how many of them were restored by undoing the job")
    failed: int = Field(description="sessions that could not be voided or restored")
    players: int = Field(description="how many players were gone through")
    started_at: datetime
    finished_at: datetime | None = Field(description="null while the job runs")


class VoidJobsPage(BaseModel):
    """A page of jobs, newest first."""

    model_config = shown({"jobs": [examples.VOID_JOB], "next_cursor": examples.CURSOR})

    jobs: list[VoidJobShown]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


class JobSessionShown(BaseModel):
    session_id: int
    user_id: int
    became: str = Field(
        description="found: not processed yet; voided; left_alone: somebody else had voided, restored or erased it; restored; "
        "not_restored"
    )


class VoidJobSessions(BaseModel):
    """A page of what a job has found, player by player."""

    model_config = shown({"sessions": [{"session_id": 41, "user_id": 7, "became": "voided"}], "next_cursor": examples.CURSOR})

    sessions: list[JobSessionShown]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


JobId = Annotated[int, Path(ge=1, le=2**63 - 1), DECIMAL]
_Jobs = Annotated[int, Query(ge=1, le=100, description="jobs on the page, at most"), DECIMAL]
_Sessions = Annotated[int, Query(ge=1, le=1000, description="sessions on the page, at most"), DECIMAL]
_Wanted = Annotated[VoidPreview, Depends(json_body(VoidPreview))]
_Ordered = Annotated[VoidOrder, Depends(json_body(VoidOrder))]
_READ = *SCOPED, InvalidRequest, ServiceUnavailable


@router.post(
    "/void-jobs/preview",
    summary="Preview a void job",
    description="Which sessions a job with this filter would void. Nothing is changed. Sessions that are already voided are "
    "left out.",
    response_model=VoidPreviewShown,
    responses=documented(*ACT),
    openapi_extra=body_schema({JSON: VoidPreview}),
)
async def preview_voids(_: Moderator, said: _Wanted, jobs: VoidingMany) -> Response:
    return answered(_preview(await jobs.preview(said.filter.filter())))


@router.post(
    "/void-jobs",
    status_code=202,
    summary="Start a void job",
    description="Voids every session that fits the filter and was submitted before the job. The job runs in the background, "
    "player by player, and survives the end of a process. Jobs run one after another.",
    response_model=VoidJobShown,
    responses=documented(*ACT),
    openapi_extra=body_schema({JSON: VoidOrder}),
)
async def begin_void_job(caller: Moderator, said: _Ordered, jobs: VoidingMany) -> Response:
    return _accepted(await jobs.begin(said.filter.filter(), Order(caller, said.reason)))


@router.get(
    "/void-jobs",
    summary="List void jobs",
    response_model=VoidJobsPage,
    responses=documented(*_READ),
)
async def void_jobs(_: Moderator, jobs: VoidingMany, limit: _Jobs = 20, cursor: Cursor = None) -> Response:
    page = await jobs.page(limit, cursor)
    return answered(VoidJobsPage(jobs=[_job(each) for each in page.jobs], next_cursor=page.next_cursor))


@router.get(
    "/void-jobs/{job_id}",
    summary="A void job's progress",
    response_model=VoidJobShown,
    responses=documented(*_READ, VoidJobNotFound),
)
async def void_job(job_id: JobId, _: Moderator, jobs: VoidingMany) -> Response:
    return answered(_job(await jobs.get(job_id)))


@router.get(
    "/void-jobs/{job_id}/sessions",
    summary="The sessions of a void job",
    response_model=VoidJobSessions,
    responses=documented(*_READ, VoidJobNotFound),
)
async def void_job_sessions(
    job_id: JobId, _: Moderator, jobs: VoidingMany, limit: _Sessions = 100, cursor: Cursor = None
) -> Response:
    page = await jobs.sessions(job_id, limit, cursor)
    sessions = [JobSessionShown(**{**each._asdict(), "became": _BECAME[each.became]}) for each in page.sessions]
    return answered(VoidJobSessions(sessions=sessions, next_cursor=page.next_cursor))


@router.post(
    "/void-jobs/{job_id}/cancel",
    summary="Cancel a void job",
    description="Sessions that the job has voided stay voided until it is undone. A finished job is not changed.",
    response_model=VoidJobShown,
    responses=documented(*ACT, VoidJobNotFound),
    openapi_extra=body_schema({JSON: OptionalReason}, required=False),
)
async def cancel_void_job(job_id: JobId, caller: Moderator, said: WithReason, jobs: VoidingMany) -> Response:
    return answered(_job(await jobs.cancel(job_id, Order(caller, said.reason))))


@router.post(
    "/void-jobs/{job_id}/undo",
    status_code=202,
    summary="Undo a void job",
    description="Restores every session that the job has voided, except for those that staff have restored or voided since.",
    response_model=VoidJobShown,
    responses=documented(*ACT, VoidJobNotFound, VoidJobConflict),
    openapi_extra=body_schema({JSON: Reason}),
)
async def undo_void_job(job_id: JobId, caller: Moderator, said: GivenReason, jobs: VoidingMany) -> Response:
    return _accepted(await jobs.undo(job_id, Order(caller, said.reason)))


def _accepted(job: Job) -> Response:
    response = answered(_job(job), 202)
    response.headers["Location"] = f"{PREFIX}/void-jobs/{job.job_id}"
    return response


def _job(job: Job) -> VoidJobShown:
    fields: dict[str, Any] = job._asdict()
    shown_by = Doer(user_id=job.by.user_id, client_id=job.by.client_id)
    told = {name: fields[name] for name in VoidJobShown.model_fields if name in fields}
    return VoidJobShown(**{**told, "state": str(job.state), "filter": FilterShown(**job.filter.to_json()), "by": shown_by})


def _preview(found: Preview) -> VoidPreviewShown:
    first = [FoundShown(**{**each._asdict(), "metrics": each.metrics or {}, "tags": each.tags or {}}) for each in found.first]
    return VoidPreviewShown(sessions=found.sessions, players=found.players, complete=found.complete, first=first)
