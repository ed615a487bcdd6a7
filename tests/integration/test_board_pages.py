"""Pages that do not drift: by `next_cursor`, who did not move meanwhile is on exactly one page."""

from random import Random
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import End, Span, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import queries
from tests.boards import ALL, WEEK, define, make
from tests.playing import API, own_database, remove, submit
from tests.ranked import change, fill
from tests.reading import Both, indexed, ranked_at, same
from tests.system import Accounts, rows

PLAYERS = 60
BOARDS = [
    define("up", aggregate="best", direction="ascending", min_score=-1000, windows=(ALL, WEEK)),
    define("down", aggregate="total", windows=(WEEK,)),
    define("last", aggregate="latest", min_score=-1000, windows=(ALL,)),
]


@pytest.fixture
async def playing(services: Both, leaderboard_settings: LeaderboardSettings, accounts: Accounts) -> httpx.AsyncClient:
    """The service that tells the index, with players on boards who share few scores."""
    async with own_database(leaderboard_settings) as database:
        await make(database, *BOARDS)
    random = Random(5)
    for user_id in range(1, PLAYERS + 1):
        await submit(services[0], accounts.new(user_id=user_id), random.randrange(4), boards=[each.name for each in BOARDS])
    for board in BOARDS:
        await indexed(services, board.name)
    return services[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("board", [each.name for each in BOARDS])
async def test_who_does_not_move_is_on_exactly_one_page(
    services: Both, playing: httpx.AsyncClient, accounts: Accounts, mysql: Any, board: str, seed: int
) -> None:
    random = Random(seed)
    moved: set[int] = set()
    seen: list[int] = []
    limit = random.choice([3, 7, 11])
    first = await same(services, f"/boards/{board}/top?limit={limit}")
    page, period_id, pages = first, first["period_id"], 1
    while True:
        order = ranked_at(mysql, board, period_id)
        assert [(row["rank"], row["user_id"], row["score"]) for row in page["top"]] == order[page["offset"] :][:limit]
        seen += [row["user_id"] for row in page["top"]]
        if page["next_cursor"] is None:
            break
        for _ in range(random.randrange(4)):
            # Those about whom the page has just turned most of all.
            near = [user_id for _, user_id, _ in order[max(0, page["offset"] - 3) :][: limit + 6]]
            user_id = random.choice([*near, random.randrange(1, PLAYERS + 10)])
            moved.add(user_id)
            if random.random() < 0.2:
                await remove(playing, accounts.new(user_id=user_id))
            else:
                await submit(playing, accounts.new(user_id=user_id), random.randrange(4), boards=[board])
        page = await same(services, f"/boards/{board}/top?limit={limit}&cursor={page['next_cursor']}")
        pages += 1
    stayed = set(range(1, PLAYERS + 1)) - moved
    assert moved
    assert len(stayed) > PLAYERS / 3
    assert sorted(user_id for user_id in seen if user_id in stayed) == sorted(stayed)
    assert pages >= PLAYERS / 3 / limit


async def test_by_offset_a_page_does_drift(services: Both, playing: httpx.AsyncClient, accounts: Accounts) -> None:
    """So that the promise of cursors is one."""
    first = await same(services, "/boards/up/top?limit=5")
    await submit(playing, accounts.new(user_id=500), -9, boards=["up"])
    by_offset = await same(services, "/boards/up/top?limit=5&offset=5")
    by_cursor = await same(services, f"/boards/up/top?limit=5&cursor={first['next_cursor']}")
    assert by_offset["top"][0]["user_id"] == first["top"][-1]["user_id"]
    assert by_cursor["top"] == (await same(services, "/boards/up/top?limit=5&offset=6"))["top"]
    assert by_cursor["offset"] == 6


@pytest.mark.parametrize("goes", ["leaves", "moves up", "moves down"])
async def test_a_cursor_is_good_when_its_row_has_gone(
    services: Both, playing: httpx.AsyncClient, accounts: Accounts, goes: str
) -> None:
    first = await same(services, "/boards/last/top?limit=20")
    coming = await same(services, f"/boards/last/top?limit=5&cursor={first['next_cursor']}")
    last = accounts.new(user_id=first["top"][-1]["user_id"])
    if goes == "leaves":
        await remove(playing, last)
    else:
        await submit(playing, last, 900 if goes == "moves up" else -900, boards=["last"])
    again = await same(services, f"/boards/last/top?limit=5&cursor={first['next_cursor']}")
    assert [row["user_id"] for row in again["top"]] == [row["user_id"] for row in coming["top"]]
    assert again["offset"] == (20 if goes == "moves up" else 19)


async def test_the_last_page_ends_where_the_board_does(services: Both, playing: httpx.AsyncClient, accounts: Accounts) -> None:
    first = await same(services, f"/boards/down/top?limit={PLAYERS - 1}")
    for user_id in range(1, PLAYERS + 1):  # all but those that were shown leave
        if user_id not in {row["user_id"] for row in first["top"]}:
            await remove(playing, accounts.new(user_id=user_id))
    last = await same(services, f"/boards/down/top?limit=10&cursor={first['next_cursor']}")
    assert (last["top"], last["offset"], last["next_cursor"]) == ([], PLAYERS - 1, None)
    assert last["total_players"] == PLAYERS - 1


async def test_each_page_says_its_generation(playing: httpx.AsyncClient, accounts: Accounts) -> None:
    async def generation(query: str) -> str:
        return str((await playing.get(f"{API}/boards/up/top?{query}")).json()["generation"])

    cursor = (await playing.get(f"{API}/boards/up/top?limit=5")).json()["next_cursor"]
    queries = "limit=5", "limit=5&offset=5", f"limit=5&cursor={cursor}"
    before = {await generation(query) for query in queries}
    await submit(playing, accounts.new(user_id=1), -5, boards=["up"])
    after = {await generation(query) for query in queries}
    assert len(before) == len(after) == 1
    assert before != after


@pytest.mark.parametrize("direction", Direction)
async def test_a_page_among_thousands_of_equal_scores_is_found(
    leaderboard_database: Database, mysql: Any, index: IndexWriter, reads: RankingIndex, direction: Direction
) -> None:
    """In the index by halves, in MySQL by its order: they give the same, also after rows that are not there."""
    random = Random(9)
    scores = [0, 7, MAX_TOTAL, -MAX_TOTAL]
    ids = [*random.sample(range(1, 2**20), 2_000), *random.sample(range(1, 2**63), 2_000)]
    standings = [
        change(user_id, random.choice(scores) if user_id % 9 == 0 else 7, reached=reached)
        for user_id, reached in enumerate(ids, 1)
    ]
    place = Ranked(Place(5, 0), direction, None)
    await fill(index, standings, place)
    put_at(mysql, place, standings)
    ends = [
        End(direction.sort(row.score or 0), row.reached_session_id + beside)
        for row in [*random.sample(standings, 60), *sorted(standings, key=lambda row: row.reached_session_id)[:2]]
        for beside in (0, 1, -1)
    ]
    ends += [End(direction.sort(score) + beside, 2**40) for score in scores for beside in (0, 1, -1)]
    ends += [End(direction.sort(7), edge) for edge in (0, 1, 2**63, 2**64 - 1)]
    async with leaderboard_database.reading() as connection:
        for end in ends:
            for limit in (1, 10):
                found = await reads.page(place, "board", Span(limit, 0, end), b"")
                assert found is not None
                assert found.neighbours == await queries.find_page(connection, place.at, Span(limit, 0, end))
                after = sorted(
                    (direction.sort(row.score or 0), row.reached_session_id, row.user_id)
                    for row in standings
                    if (direction.sort(row.score or 0), row.reached_session_id) > end
                )
                assert [player.user_id for player in found.neighbours.players] == [each[2] for each in after[:limit]]
                assert list(found.neighbours.reached) == [each[1] for each in after[:limit]]
                assert found.neighbours.offset == len(standings) - len(after)
    assert len(rows(mysql, "SELECT 1 FROM standings WHERE board_id = 5")) == len(standings)


def put_at(mysql: Any, place: Ranked, standings: list[StandingRow]) -> None:
    """Write standings of a place, and their players."""
    with mysql.cursor() as cursor:
        cursor.executemany("REPLACE INTO players (user_id, username) VALUES (%s, %s)", [row[:2] for row in standings])
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) "
            "VALUES (%s, %s, %s, %s, %s, 1, %s, 1)",
            [
                (*place.at, row.user_id, row.score, place.direction.sort(row.score or 0), row.reached_session_id)
                for row in standings
            ],
        )
