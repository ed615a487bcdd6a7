"""Game sessions: a group of them stored and counted, in one transaction of two round trips.

The first locks the players, stores the sessions and reads how the players stand. Then this process counts what is new, with
rules/ranking.py. The second writes the standings and commits. In between nobody else changes these players: the player's row is
the lock of all of a player's standings and sessions.

Statements are sent together, since each round trip costs more than most of them do. They are in statements.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.common.mysql.multistatement import Transaction
from services.leaderboard.boards.board import Submitters
from services.leaderboard.log import erased_keys, holds, statements, submission_keys
from services.leaderboard.log.holds import Candidate
from services.leaderboard.rules import ranking
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import ALL_TIME, MAIN, Place, pack, unpack
from services.leaderboard.rules.played import Played, SessionState
from services.leaderboard.rules.ranking import MAX_TOTAL, Aggregate, Count, Counting, Tally
from services.leaderboard.rules.standings import StandingRow


# Not frozen, and tuples below: one is made for each session of a group, and a frozen dataclass takes thrice as long.
@dataclass(slots=True, eq=False)
class Submission:
    """A session that a player asks to be stored. With the same player and key it is the same one, however often it is sent.

    ``counts``: where it counts, should it be stored now.
    """

    user_id: int
    username: str
    key: bytes
    played: Played
    submitted_at: datetime
    counts: Sequence[Count]
    digest: bytes | None = None
    by: Submitters = "players"

    def __post_init__(self) -> None:
        # A key that the server made does not come again.
        if submission_keys.is_clients(self.key):
            self.digest = self.played.digest()

    @property
    def identity(self) -> tuple[int, bytes]:
        return self.user_id, self.key

    @property
    def score(self) -> int:
        return self.played.score


class Stored(NamedTuple):
    """A session as it is stored now, and where it counts, or would if it were not ``held``. ``replayed``: it was stored before
    this submission came.
    """

    session_id: int
    score: int
    digest: bytes | None
    places: Sequence[Place]
    held: bool = False
    replayed: bool = False

    def is_of(self, submission: Submission) -> bool:
        """Whether ``submission`` says what was stored. Of sessions from before there were digests the score alone tells."""
        if self.digest is None:
            return self.score == submission.score
        return self.digest == submission.digest


Standings = dict[Place, dict[int, StandingRow]]
"""How players stand, by place and player."""


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """What each session of a group is stored as, how its players stand where it counts, and the outbox's note of what changed,
    None when nothing did.
    """

    stored: Mapping[Submission, Stored]
    standings: Standings
    note: int | None


class TotalsTooLarge(Exception):
    """With the submissions in ``totals`` a player's total would leave the range; it maps each to the total it would give."""

    def __init__(self, totals: dict[Submission, int]) -> None:
        super().__init__(f"{len(totals)} totals would be too large")
        self.totals = totals


class PlacesChanged(Exception):
    """Boards have changed since it was decided where ``submissions`` count, which are new. In ``closed`` nothing counts any
    more: the board or the period was closed, or is gone.
    """

    def __init__(self, submissions: Collection[Submission], closed: Collection[Place]) -> None:
        super().__init__(f"boards have changed, {len(closed)} places are closed")
        self.submissions = submissions
        self.closed = closed


class AccountsEnded(Exception):
    """``submissions`` are of users whose account has ended."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        super().__init__(f"{len(submissions)} sessions are of users whose account has ended")
        self.submissions = submissions


class PlayersBanned(Exception):
    """``submissions`` are new, and of players who are banned."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        super().__init__(f"{len(submissions)} sessions are of players who are banned")
        self.submissions = submissions


class SessionsErased(Exception):
    """``submissions`` are repeats of sessions that their players have had erased."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        super().__init__(f"{len(submissions)} sessions were erased")
        self.submissions = submissions


async def store(
    transaction: Transaction,
    group: Sequence[Submission],
    group_id: bytes,
    *,
    earlier: Collection[bytes] = (),
    refuse_banned: bool = False,
) -> StoredGroup:
    """Store ``group``, in which no session is twice, count what is new of it, and commit. New is what has our ``group_id``.

    The rows of one INSERT get ascending ids in the order in which they are written. So when MySQL finds as many rows of ours as
    there are sessions, with as many ids that follow one another, every session is new, and each one's id is known by its place.
    Else, with a repeat among them or on a server that hands out ids in steps, they are found by their keys.

    ``earlier``: ids under which this group was tried before, with an unknown outcome; what has one of them is stored and
    counted, since a transaction commits whole. All else are replays. What banned players submit is stored and not counted, or
    refused, with ``refuse_banned``; what a board holds is stored and not counted.

    Raises AccountsEnded, PlacesChanged, PlayersBanned, TotalsTooLarge and SessionsErased, after which the transaction must be
    rolled back.
    """
    user_ids = sorted({each.user_id for each in group})
    wanted: dict[Place, set[int]] = {}
    watched: list[tuple[int, Count]] = []
    for each in group:
        for count in each.counts:
            wanted.setdefault(count.place.at, set()).add(each.user_id)
            if count.hold is not None:
                watched.append((each.user_id, count))
    digests = {submission_keys.digest(*each.identity): each for each in group if submission_keys.is_clients(each.key)}
    ours = statements.literal(group_id)
    board_ids = sorted({at.board_id for at in wanted})
    period_ids = sorted({at.period_id for at in wanted} - {ALL_TIME})
    compared = holds.compared(watched, ours)
    results = await transaction.send(
        statements.LOCK_PLAYERS.format(rows=",".join([f"({user_id:d},'')" for user_id in user_ids])),
        statements.ADD_SESSIONS.format(rows=",".join([_session_row(each, ours) for each in group])),
        statements.LIST.format(
            group_id=ours,
            sessions=len(group),
            user_ids=statements.ids(user_ids),
            standings=statements.LIST_STANDINGS.format(places=statements.at_places(wanted)),
            boards=statements.SHARE_BOARDS.format(ids=statements.ids(board_ids)) if board_ids else statements.NO_BOARDS,
        ),
        *([statements.SHARE_PERIODS.format(ids=statements.ids(period_ids))] if period_ids else []),
        # Once the rows are in: an INSERT of a key that is being erased waits until that is committed.
        *([erased_keys.FIND.format(digests=",".join(map(statements.literal, digests)))] if digests else []),
        *compared,
    )
    first_id, standing, shared, named = (statements.text_of(results[2]) or "").split(";", 3)
    known, accounts, banned = _names(named, group)
    repeats: dict[Submission, tuple[bytes, Stored]] = {}
    if first_id:
        added = list(zip(group, range(int(first_id), int(first_id) + len(group)), strict=True))
    else:
        added, repeats = await _find_by_keys(transaction, group, group_id)
    more = iter(results[3:])
    boards = statements.versions(shared)
    running = {ALL_TIME, *(statements.running(next(more)) if period_ids else ())}
    counts = [count for each, _ in added for count in each.counts]
    closed = {at for (at, *_), *_ in counts if at.board_id not in boards or at.period_id not in running}
    if closed or any(boards[count.place.at.board_id] > count.version for count in counts):
        raise PlacesChanged({each for each, _ in added}, closed)
    if digests and (refused := {digests[digest] for (digest,) in next(more).rows}.intersection(each for each, _ in added)):
        raise SessionsErased([each for each, _ in added if each in refused])
    before = _standings(standing)
    if repeats:
        before |= await _find_unread(transaction, repeats, wanted)
    # The account's name is the newest there is; a token may be old. And a repeat says nothing new of the player.
    names = {each.user_id: accounts.get(each.user_id, each.username) for each, _ in added}
    renamed = {user_id: name for user_id, name in names.items() if known[user_id] != name}
    known_before = [user_id for user_id in renamed if known[user_id]]
    known |= renamed
    counted = _but_of(banned, added, refuse=refuse_banned) if banned else added
    held = holds.judge(_candidates(added), statements.text_of(next(more)) if compared else None) if watched else {}
    after = _count([each for each in counted if each[1] not in held] if held else counted, before)
    directions = {count.place.at: count.place.direction for each, _ in added for count in each.counts}
    gone = [user_id for user_id in user_ids if not known[user_id]]
    parts = [*_rename(renamed, known_before, after), *_keep_extras(added), *holds.keep(held.values())]
    if gone:
        parts.append(statements.FORGET.format(user_ids=statements.ids(gone)))
    note = await _commit(transaction, after, directions, parts)
    standings: Standings = {}
    for (at, user_id), (tally, version) in (before | after).items():
        score, reached = (None, 0) if tally is None else (tally.score, tally.reached_session_id)
        standings.setdefault(at, {})[user_id] = StandingRow(user_id, known[user_id], score, reached, version)
    stored = {
        each: Stored(id_, each.score, each.digest, [count.place.at for count in each.counts], id_ in held)
        for each, id_ in added
    }
    for each, (stored_by, repeat) in repeats.items():
        stored[each] = repeat._replace(replayed=False) if stored_by in earlier else repeat
    return StoredGroup(stored, standings, note)


_Tallies = dict[tuple[Place, int], tuple[Tally | None, int]]
"""What standings say, by place and player, and their versions. Removed, a standing has no tally."""


async def _find_by_keys(
    transaction: Transaction, group: Sequence[Submission], group_id: bytes
) -> tuple[list[tuple[Submission, int]], dict[Submission, tuple[bytes, Stored]]]:
    """Those of a group that are new, with their ids, and those that were there before, each with the group that stored it."""
    wanted: dict[int, list[str]] = {}
    for each in group:
        wanted.setdefault(each.user_id, []).append(statements.literal(each.key))
    # Not a list of pairs, of which MariaDB makes a join when it is long.
    keys = " OR ".join([f"(user_id = {user:d} AND submission_key IN ({','.join(listed)}))" for user, listed in wanted.items()])
    [result] = await transaction.send(statements.LIST_BY_KEYS.format(keys=keys))
    found: dict[tuple[int, bytes], tuple[bytes, Stored]] = {}
    for line in statements.lines(statements.text_of(result)):
        user_id, key, session_id, by, score, packed, digest, state = line.split(" ")
        places = [MAIN] if packed == "-" else unpack(bytes.fromhex(packed))
        said = None if digest == "-" else bytes.fromhex(digest)
        session = Stored(int(session_id), int(score), said, places, int(state) == SessionState.HELD, replayed=True)
        found[int(user_id), bytes.fromhex(key)] = bytes.fromhex(by), session
    added: list[tuple[Submission, int]] = []
    repeats: dict[Submission, tuple[bytes, Stored]] = {}
    for each in group:
        stored_by, stored = found[each.identity]
        if stored_by == group_id:
            added.append((each, stored.session_id))
        else:
            repeats[each] = stored_by, stored
    return added, repeats


async def _find_unread(
    transaction: Transaction, repeats: Mapping[Submission, tuple[bytes, Stored]], read: Mapping[Place, set[int]]
) -> _Tallies:
    """How players stand where their repeats count, and where that was not ``read`` already."""
    unread: dict[Place, set[int]] = {}
    for each, (_, stored) in repeats.items():
        for at in stored.places:
            if each.user_id not in read.get(at, ()):
                unread.setdefault(at, set()).add(each.user_id)
    if not unread:
        return {}
    [found] = await transaction.send(statements.LIST_STANDINGS.format(places=statements.at_places(unread)))
    return _standings(statements.text_of(found))


def _but_of(
    banned: Collection[int], added: Sequence[tuple[Submission, int]], *, refuse: bool
) -> Sequence[tuple[Submission, int]]:
    """What is to be counted: not what banned players played. Raises PlayersBanned if that is refused."""
    theirs = [each for each, _ in added if each.user_id in banned]
    if refuse and theirs:
        raise PlayersBanned(theirs)
    return [each for each in added if each[0].user_id not in banned]


def _candidates(added: Sequence[tuple[Submission, int]]) -> list[Candidate]:
    return [Candidate(id_, each.user_id, each.played.played_at or each.submitted_at, each.counts) for each, id_ in added]


def _count(added: Sequence[tuple[Submission, int]], before: _Tallies) -> _Tallies:
    """What the standings say once these sessions count, where they change.

    Raises TotalsTooLarge unless every total can be counted exactly: first come, first counted.
    """
    after: _Tallies = {}
    too_large: dict[Submission, int] = {}
    for submission, session_id in added:
        counted: list[tuple[tuple[Place, int], Tally]] = []
        for place, aggregate, score, _, _ in submission.counts:
            key = place.at, submission.user_id
            tally, _ = after.get(key) or before.get(key) or (None, 0)
            now = ranking.merge(tally, Tally(score, 1, session_id), Counting(aggregate, place.direction))
            if aggregate is Aggregate.TOTAL and now.score > MAX_TOTAL:
                too_large[submission] = now.score
                break
            counted.append((key, now))
        else:
            for key, now in counted:
                after[key] = now, before[key][1] + 1 if key in before else 1
    if too_large:
        raise TotalsTooLarge(too_large)
    return after


def _rename(renamed: Mapping[int, str], known_before: Collection[int], after: _Tallies) -> Iterator[str]:
    """What gives players the names that they have now, everywhere. Who is new stands nowhere else."""
    if renamed:
        yield statements.RENAME.format(rows=statements.player_rows(renamed))
    if known_before:
        here: dict[Place, list[int]] = {}
        for at, user_id in after:
            here.setdefault(at, []).append(user_id)
        values = {"user_ids": statements.ids(known_before), "places": statements.at_places(here)}
        yield statements.RENAME_ELSEWHERE.format_map(values)
        yield statements.NOTE_ELSEWHERE.format_map(values)


def _keep_extras(added: Sequence[tuple[Submission, int]]) -> Iterator[str]:
    extras = [(session_id, each.played.extra) for each, session_id in added if each.played.extra is not None]
    if extras:
        rows = [f"({session_id:d},{statements.text(extra)})" for session_id, extra in extras]
        yield statements.ADD_EXTRAS.format(rows=",".join(rows))


async def _commit(
    transaction: Transaction, after: _Tallies, directions: Mapping[Place, Direction], more: Sequence[str]
) -> int | None:
    """Write what has changed, and commit. Gives the outbox's note of the standings that ``after`` has."""
    parts: list[str] = []
    if after:
        keys = sorted(after)  # the order of the primary key
        changed = ",".join([f"[{at.board_id:d},{at.period_id:d},{user_id:d}]" for at, user_id in keys])
        parts.append(statements.NOTE.format(changed=f"[{changed}]"))
        rows = [_standing_row(key, *after[key], directions[key[0]]) for key in keys]
        parts.append(statements.WRITE_STANDINGS.format(rows=",".join(rows)))
    results = await transaction.commit(*parts, *more)
    return results[0].insert_id if after else None


def _standings(listed: str | None) -> _Tallies:
    found: _Tallies = {}
    for line in statements.lines(listed):
        board_id, period_id, user_id, score, sessions, reached, version = line.split(" ")
        tally = None if score == "-" else Tally(int(score), int(sessions), int(reached))
        found[Place(int(board_id), int(period_id)), int(user_id)] = tally, int(version)
    return found


def _names(listed: str | None, group: Sequence[Submission]) -> tuple[dict[int, str], dict[int, str], set[int]]:
    """The names that players have on boards, those of their accounts, and who is banned. Raises AccountsEnded."""
    known, accounts, ended, banned = dict[int, str](), dict[int, str](), set[int](), set[int]()
    for line in statements.lines(listed):
        user, is_banned, username, *account = line.split("\t")
        user_id = int(user)
        known[user_id] = username
        if is_banned == "1":
            banned.add(user_id)
        if account:
            accounts[user_id] = account[0]
            if len(account) > 1:
                ended.add(user_id)
    if ended:
        raise AccountsEnded([each for each in group if each.user_id in ended])
    return known, accounts, banned


def _session_row(submission: Submission, group_id: str) -> str:
    places = statements.literal(pack([count.place.at for count in submission.counts]))
    digest = "NULL" if submission.digest is None else statements.literal(submission.digest)
    played = submission.played
    return (
        f"({submission.user_id:d},{statements.literal(submission.key)},{group_id},{played.score:d},{statements.time(submission.submitted_at)},{places},{digest},"
        f"{statements.json_text(played.metrics)},{statements.json_text(played.tags)},"
        f"{'NULL' if played.played_at is None else statements.time(played.played_at)})"
    )


def _standing_row(key: tuple[Place, int], tally: Tally | None, version: int, direction: Direction) -> str:
    (board_id, period_id), user_id = key
    assert tally is not None  # what was just counted
    sort = direction.sort(tally.score)
    return (
        f"({board_id:d},{period_id:d},{user_id:d},{tally.score:d},{sort:d},{tally.sessions:d},"
        f"{tally.reached_session_id:d},{version:d})"
    )
