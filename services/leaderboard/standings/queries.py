"""SQL that reads standings: pages, ranks and neighbours, and the rows that the ranking index is made of. And own sessions."""

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, pairwise

from sqlalchemy import ColumnElement, Row, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Player, SessionExtra, Standing
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Neighbours, NextRank, Placing, PlayerScore, Position, Ranks, Span


async def list_scores(connection: AsyncConnection, at: Place, user_ids: Collection[int]) -> list[PlayerScore]:
    """Names and scores of those of these players who are ranked."""
    statement = (
        select(Standing.user_id, Player.username, Standing.score)
        .join(Player, Player.user_id == Standing.user_id)
        .where(*at_place(at), Standing.user_id.in_(sorted(user_ids)), Standing.score.is_not(None))
    )
    return _players(await connection.execute(statement))


async def list_names(connection: AsyncConnection, user_ids: Collection[int]) -> dict[int, str]:
    """The names of those of these players who have played anywhere, and are not banned."""
    named = select(Player.user_id, Player.username).where(
        Player.user_id.in_(sorted(user_ids)), Player.username != "", Player.banned_at.is_(None)
    )
    return {row.user_id: row.username for row in await connection.execute(named)}


async def count_ahead(connection: AsyncConnection, at: Place, sort: int) -> int:
    """How many players are strictly ahead of a score that is ordered by ``sort``."""
    return await count(connection, *at_place(at), Standing.sort < sort)


async def count_ahead_and_all(connection: AsyncConnection, at: Place, sort: int) -> tuple[int, int]:
    """How many players are strictly ahead of a score that is ordered by ``sort``, and how many are ranked: in one pass."""
    ahead = func.count(case((Standing.sort < sort, 1)))
    ranked = select(ahead, func.count()).where(*at_place(at), Standing.sort.is_not(None))
    found = (await connection.execute(ranked)).one()
    return found[0], found[1]


async def count_players(connection: AsyncConnection, at: Place) -> int:
    """How many players are ranked."""
    return await count(connection, *at_place(at), Standing.sort.is_not(None))


async def find_page(connection: AsyncConnection, at: Place, span: Span) -> Neighbours:
    """Players in board order. The order's index alone finds them; only their names are looked up in `players`."""
    rows = _PLACE.where(*at_place(at), Standing.sort.is_not(None))
    offset = span.offset
    if span.after is not None:
        sort, reached = span.after
        same = Standing.sort == sort
        rows = rows.where((Standing.sort > sort) | (same & (Standing.reached_session_id > reached)))
        before = await count(connection, *at_place(at), same & (Standing.reached_session_id <= reached))
        offset = await count_ahead(connection, at, sort) + before
    else:
        rows = rows.offset(offset)
    page = rows.order_by(Standing.sort, Standing.reached_session_id).limit(span.limit).subquery()
    named = (
        select(page.c.user_id, Player.username, page.c.score, page.c.sort, page.c.reached_session_id)
        .join(Player, Player.user_id == page.c.user_id)
        .order_by(page.c.sort, page.c.reached_session_id)
    )
    found = (await connection.execute(named)).all()
    ahead = await count_ahead(connection, at, found[0].sort) if found else 0
    players = [PlayerScore(row.user_id, row.username, row.score) for row in found]
    return Neighbours(players, offset, ahead, [row.reached_session_id for row in found])


async def list_extras(connection: AsyncConnection, session_ids: Collection[int]) -> dict[int, str]:
    """What a game kept with these sessions, as JSON, of those with which it kept something."""
    found = select(SessionExtra.session_id, SessionExtra.extra).where(SessionExtra.session_id.in_(session_ids))
    return {row.session_id: row.extra for row in await connection.execute(found)} if session_ids else {}


async def list_reached(connection: AsyncConnection, at: Place, user_ids: Collection[int]) -> dict[int, tuple[int | None, int]]:
    """These players' scores, and the sessions that reached them."""
    found = select(Standing.user_id, Standing.score, Standing.reached_session_id).where(
        *at_place(at), Standing.user_id.in_(user_ids)
    )
    return {row.user_id: (row.score, row.reached_session_id) for row in await connection.execute(found)}


async def find_neighbours(connection: AsyncConnection, at: Place, user_id: int, radius: int) -> Neighbours | None:
    """A player between up to ``radius`` others on either side, or None if they never played or were removed.

    Those of the same score and those of another are read apart: each is then one range of the order's index, and not more
    of it is read than is shown, however many share a score.
    """
    found = await connection.execute(_PLACE.where(*at_place(at), Standing.user_id == user_id, Standing.score.is_not(None)))
    own = found.one_or_none()
    if own is None:
        return None
    better, worse = Standing.sort < own.sort, Standing.sort > own.sort
    earlier, later = (
        (Standing.sort == own.sort) & each
        for each in (Standing.reached_session_id < own.reached_session_id, Standing.reached_session_id > own.reached_session_id)
    )
    before = await _nearest(connection, at, (earlier, better), radius, upwards=True)
    after = await _nearest(connection, at, (later, worse), radius, upwards=False)
    rows = [*reversed(before), own, *after]
    named = {player.user_id: player for player in await list_scores(connection, at, [row.user_id for row in rows])}
    players = [named[row.user_id] for row in rows]
    place = await count(connection, *at_place(at), better) + await count(connection, *at_place(at), earlier)
    return Neighbours(players, place - len(before), await count_ahead(connection, at, rows[0].sort))


async def _nearest(
    connection: AsyncConnection, at: Place, ranges: Sequence[ColumnElement[bool]], limit: int, *, upwards: bool
) -> list[Row[int, int | None, int | None, int]]:
    sort, reached = Standing.sort, Standing.reached_session_id
    order = (sort.desc(), reached.desc()) if upwards else (sort.asc(), reached.asc())
    rows: list[Row[int, int | None, int | None, int]] = []
    for each in ranges:
        if len(rows) < limit:
            rows += await connection.execute(_PLACE.where(*at_place(at), each).order_by(*order).limit(limit - len(rows)))
    return rows


async def count(connection: AsyncConnection, *where: ColumnElement[bool]) -> int:
    count: int = (await connection.execute(select(func.count()).select_from(Standing).where(*where))).scalar_one()
    return count


def _players(rows: object) -> list[PlayerScore]:
    return [PlayerScore(*row) for row in rows]  # type: ignore[attr-defined]


def at_place(at: Place) -> tuple[ColumnElement[bool], ...]:
    return Standing.board_id == at.board_id, Standing.period_id == at.period_id


_PLACE = select(Standing.user_id, Standing.score, Standing.sort, Standing.reached_session_id)
_PLAYERS = "FROM standings WHERE board_id = %s AND period_id = %s"
_COUNT_SOME = f"SELECT %s, COUNT(*) FROM (SELECT user_id {_PLAYERS} LIMIT %s) AS some"
# Rows of two kinds: how many stand between two scores, and where a player stands.
_COUNT = f"SELECT %s, %s, NULL, COUNT(*) {_PLAYERS}"
_COUNT_ALL, _COUNT_BELOW = f"{_COUNT} AND sort IS NOT NULL", f"{_COUNT} AND sort < %s"
_COUNT_BETWEEN, _COUNT_FROM = f"{_COUNT} AND sort >= %s AND sort < %s", f"{_COUNT} AND sort >= %s"
_OWN = f"SELECT %s, NULL, user_id, sort {_PLAYERS} AND sort IS NOT NULL AND user_id IN "


async def count_some(connection: AsyncConnection, places: Collection[Place], most: int) -> dict[Place, int]:
    """How many players there are in each of these places, removed ones among them, of so many that are looked at."""
    values: list[int] = []
    for number, at in enumerate(places):
        values += [number, *at, most]
    counted = " UNION ALL ".join([_COUNT_SOME] * len(places))
    rows: Sequence[tuple[int, int]] = (await connection.exec_driver_sql(counted, tuple(values))).all()  # type: ignore[assignment]
    counts = dict(rows)
    return {at: counts[number] for number, at in enumerate(places)}


async def find_ranks(connection: AsyncConnection, asked: Sequence[tuple[Place, Mapping[int, int]]]) -> list[Ranks]:
    """The ranks that players would have with scores that are ordered by these, in some places: all at one moment.

    Only others are ahead of a player: their own score may be better since, and nobody is ahead of themselves.
    """
    found: list[Ranks] = []
    for (_, sorts), (aheads, own, total_players) in zip(asked, await _count(connection, asked), strict=True):
        ranks = {user_id: 1 + aheads[sort] - (own.get(user_id, sort) < sort) for user_id, sort in sorts.items()}
        found.append(Ranks(ranks, total_players))
    return found


async def list_positions(connection: AsyncConnection, place: Ranked, user_ids: Sequence[int]) -> tuple[list[Position], int]:
    """The places of those of these players who are ranked, in their order, and how many are ranked."""
    scores = {player.user_id: player for player in await list_scores(connection, place.at, user_ids)}
    sorts = {user_id: place.direction.sort(scores[user_id].score) for user_id in user_ids if user_id in scores}
    [ranks] = await find_ranks(connection, [(place.at, sorts)])
    return [Position(scores[user_id], rank - 1) for user_id, rank in ranks.by_player.items()], ranks.total_players or 0


async def find_placing(connection: AsyncConnection, place: Ranked, player: PlayerScore) -> Placing:
    """Where a player with this score stands among the others, and what they lack of a better rank."""
    sort, at = place.direction.sort(player.score), place.at
    [(ranks, total_players)] = await find_ranks(connection, [(at, {player.user_id: sort})])
    ahead = ranks[player.user_id] - 1
    next_rank = await _find_next_rank(connection, at, player.user_id, sort, ahead) if ahead else None
    return Placing(Position(player, ahead), total_players or 0, next_rank)


async def _find_next_rank(connection: AsyncConnection, at: Place, user_id: int, sort: int, ahead: int) -> NextRank:
    others = (*at_place(at), Standing.user_id != user_id)
    nearest = select(Standing.sort).where(*others, Standing.sort < sort).order_by(Standing.sort.desc()).limit(1)
    better: int = (await connection.execute(nearest)).scalar_one()  # type: ignore[assignment]  # less than another is not NULL
    return NextRank(sort - better, 1 + ahead - await count(connection, *others, Standing.sort == better))


async def _count(
    connection: AsyncConnection, asked: Sequence[tuple[Place, Mapping[int, int]]]
) -> list[tuple[dict[int, int], dict[int, int], int]]:
    """In each of these places, how many are ahead of each of these sorts, where these players stand, and how many are ranked.

    However many are asked about, each place is read once: what stands between one of the sorts and the next is counted.
    """
    statements: list[str] = []
    values: list[int] = []
    for number, (at, sorts) in enumerate(asked):
        bounds = sorted(set(sorts.values()))
        if not bounds:
            statements.append(_COUNT_ALL)
            values += [number, 0, *at]
            continue
        statements += [_COUNT_BELOW, *[_COUNT_BETWEEN] * (len(bounds) - 1), _COUNT_FROM]
        values += [number, 0, *at, bounds[0]]
        for part, bound in enumerate(pairwise(bounds), 1):
            values += [number, part, *at, *bound]
        values += [number, len(bounds), *at, bounds[-1]]
        statements.append(f"{_OWN}({','.join(['%s'] * len(sorts))})")
        values += [number, *at, *sorts]
    rows: Sequence[tuple[int, int | None, int, int]] = []
    if statements:
        rows = (await connection.exec_driver_sql(" UNION ALL ".join(statements), tuple(values))).all()  # type: ignore[assignment]
    counts: list[dict[int, int]] = [{} for _ in asked]
    own: list[dict[int, int]] = [{} for _ in asked]
    for number, counted, user_id, value in rows:
        if counted is None:
            own[number][user_id] = value
        else:
            counts[number][counted] = value
    found = []
    for number, (_, sorts) in enumerate(asked):
        bounds = sorted(set(sorts.values()))
        *aheads, total_players = accumulate(counts[number][each] for each in range(len(bounds) + 1))
        found.append((dict(zip(bounds, aheads, strict=True)), own[number], total_players))
    return found
