"""HTTP of what the system does just now, for staff and for keys with the scope `moderate`."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.common.http.problems import SCOPED, ServiceUnavailable, documented
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import PREFIX, Measuring, answered
from services.leaderboard.http.examples import shown
from services.leaderboard.http.staff.moderation import Moderator
from services.leaderboard.staff.figures import COUNTED, MOST_PLACES, Count

router = APIRouter(prefix=PREFIX, tags=["moderation"])


class CountShown(BaseModel):
    count: int
    exact: bool = Field(description=f"false: above {COUNTED:,} it is MySQL's estimate")


class IndexShown(BaseModel):
    in_use: bool = Field(description="whether the process that answers reads ranks from Redis")
    places: int = Field(description=f"boards of all time, and periods, that go on: {MOST_PLACES} at most")
    complete: int | None = Field(description="how many of these have an index; null while Redis is not read")


class BacklogShown(BaseModel):
    submissions: int = Field(description="submissions that wait in the process that answers")
    outbox: int = Field(description=f"changes that Redis may not have heard of: {COUNTED:,} at most")
    periods: int = Field(description="that are over and not settled")
    players: int = Field(description=f"who are being erased or folded anew: {COUNTED:,} at most")
    void_jobs: int = Field(description="jobs that void or restore sessions")


class FiguresShown(BaseModel):
    """What the whole system does just now."""

    model_config = shown(examples.FIGURES)

    submissions_per_second: float = Field(
        description="sessions that were stored: over the last minute, or by the last 3,000 of them where those came in less"
    )
    players: CountShown
    sessions: CountShown
    index: IndexShown
    backlog: BacklogShown
    measured_at: datetime


@router.get(
    "/figures",
    summary="Figures of the system",
    description="Measured once a second at most.",
    response_model=FiguresShown,
    responses=documented(*SCOPED, ServiceUnavailable),
)
async def figures(_: Moderator, measuring: Measuring) -> Response:
    measured = await measuring.get()
    answer = FiguresShown(
        submissions_per_second=measured.submissions_per_second,
        players=_count(measured.players),
        sessions=_count(measured.sessions),
        index=IndexShown(in_use=measured.in_use, places=measured.places, complete=measured.complete),
        backlog=BacklogShown(
            submissions=measured.submissions,
            outbox=measured.outbox,
            periods=measured.periods,
            players=measured.players_waiting,
            void_jobs=measured.void_jobs,
        ),
        measured_at=measured.measured_at,
    )
    return answered(answer)


def _count(count: Count) -> CountShown:
    return CountShown(count=count.rows, exact=count.exact)
