"""What can be asked of a place, or of a player, and is held against the model."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from tests.faults.model import Asked, Model, Place
from tests.faults.subject import Answer, Subject, now

Row = dict[str, Any]
NUMBERS = "percentile", "to_next"
"""What a board's rank tells beside the row, and the shorter path of main does not."""
KINDS = "page", "pages", "rank", "own rank", "around", "standings", "windows", "sessions"


class Look(NamedTuple):
    """Which process is asked, for what, in which of the places (``number`` and ``period``), and about which player.

    ``period``: the current or the previous one of some window; or any where somebody has played (``known``), or had (``past``).
    """

    process: int
    kind: str
    number: int
    period: str
    player: int
    limit: int
    offset: int


class Looks:
    """Asks one system. ``tokens`` are the players', by their ids."""

    def __init__(self, subject: Subject, model: Model, tokens: Mapping[int, dict[str, str]]) -> None:
        self._subject = subject
        self._model = model
        self._tokens = tokens
        self._every = [Asked(board.name, window.name, "current") for board, window in model.windows]

    def look(self, look: Look) -> None:
        """Ask, and hold that it is right."""
        asked, user = self._asked(look.number, look.period), self._model.users[look.player]
        match look.kind:
            case "page":
                self.page(look.process, asked, look.limit, look.offset)
            case "pages":
                self.pages(look.process, self._asked(look.number, "known"), look.limit)
            case "rank":
                self.rank(look.process, asked, user)
            case "own rank":
                self.own_rank(look.process, self._asked(look.number, "known"), user)
            case "around":
                self.around(look.process, asked, user, look.limit)
            case "standings":
                self.standings(look.process, user)
            case "windows":
                self.windows(look.process, asked)
            case "sessions":
                self.sessions(look.process, user, look.limit)

    def _asked(self, number: int, period: str) -> Asked:
        places = self._model.places()
        if period == "past":
            places = [place for place in places if self._model.has_ended(place, now())] or places
        if period in ("known", "past") and places:
            return places[number % len(places)].asked
        asked = self._every[number % len(self._every)]
        ends = self._model.window(asked.board, asked.window).length is not None
        return asked._replace(period="previous") if ends and period == "previous" else asked

    def _holds(
        self,
        process: int,
        asked: Asked,
        path: str,
        wanted: Callable[[list[Row]], Row | None],
        headers: dict[str, str] | None = None,
    ) -> None:
        """What is answered of a place is what is ``wanted`` of its rows, None: a 404. Of `main` so by the shorter path."""
        path += f"{'&' if '?' in path else '?'}window={asked.window}&period={asked.period}"
        if asked.period.isdecimal() and self._model.has_ended(Place(*asked[:2], int(asked.period)), now()):
            self._subject.done["answers about periods that had ended"] += 1

        def of_board(time: datetime) -> Answer:
            place = self._model.place(asked, time)
            found = wanted(rows := self._model.rows(place))
            head = {"board": asked.board, "window": asked.window, "period_id": place and place.period_id}
            return (404, None) if found is None else (200, {**head, "total_players": len(rows), **found})

        def of_main(time: datetime) -> Answer:
            found = wanted(self._model.rows(self._model.place(asked, time)))
            return (404, None) if found is None else (200, of_shorter_path(found))

        def ask_main() -> Answer:
            status, found = self._subject.ask(process, path, headers)
            return status, found and {name: value for name, value in found.items() if name not in ("limit", "total_players")}

        self._subject.agrees(lambda: self._subject.ask(process, f"boards/{asked.board}/{path}", headers), of_board)
        if asked.board == "main":
            self._subject.agrees(ask_main, of_main)

    def page(self, process: int, asked: Asked, limit: int, offset: int) -> None:
        path = f"top?limit={limit}&offset={offset}"
        self._holds(process, asked, path, lambda rows: {"top": rows[offset : offset + limit], "offset": offset})

    def pages(self, process: int, asked: Asked, limit: int) -> None:
        """One after the other by their cursors: everybody is on one of them."""

        def walk() -> Answer:
            rows: list[Row] = []
            query: dict[str, Any] = {"window": asked.window, "period": asked.period, "limit": limit}
            while True:
                answer, _ = self._subject.until_known(process, "GET", f"boards/{asked.board}/top", params=query)
                page = answer.json()
                rows += page["top"]
                if page["next_cursor"] is None:
                    return answer.status_code, {"top": rows}
                query["cursor"] = page["next_cursor"]

        self._subject.agrees(walk, lambda time: (200, {"top": self._model.rows(self._model.place(asked, time))}))

    def rank(self, process: int, asked: Asked, user: int) -> None:
        self._holds(process, asked, f"rank/{user}", lambda rows: with_numbers(rows, user))

    def own_rank(self, process: int, asked: Asked, user: int) -> None:
        """Own sessions are seen at once by whichever process answers, whatever has failed."""
        query = f"window={asked.window}&period={asked.period}"
        status, found = self._subject.ask(process, f"boards/{asked.board}/rank/me?{query}", self._tokens[user])
        assert status == 200
        if asked.period.isdecimal():
            self.is_own(process, asked, user, found, self._model.own(self._model.place(asked, now()), user))

    def is_own(self, process: int, asked: Asked, user: int, found: Row, mine: Row) -> None:
        """Everything but the rank is right whatever has failed."""
        self._subject.done["answers compared"] += 1
        assert {name: found[name] for name in mine if name != "rank"} == {name: mine[name] for name in mine if name != "rank"}
        if found["rank"] != mine["rank"]:
            assert not self._subject.settled
            assert mine["rank"] is not None
            self.rank(process, asked, user)

    def around(self, process: int, asked: Asked, user: int, radius: int) -> None:
        def near(rows: list[Row]) -> Row | None:
            index = next((index for index, row in enumerate(rows) if row["user_id"] == user), None)
            return None if index is None else {"players": rows[max(0, index - radius) : index + radius + 1]}

        self._holds(process, asked, f"around/{user}?radius={radius}", near)
        self._holds(process, asked, f"around/me?radius={radius}", near, self._tokens[user])

    def standings(self, process: int, user: int) -> None:
        """Where a player stands in every window that goes on."""

        def ask() -> Answer:
            status, found = self._subject.ask(process, f"players/{user}/standings")
            return status, sorted(found["standings"], key=lambda each: (each["board"], each["window"]))

        def wanted(time: datetime) -> Answer:
            listed = []
            for place in (self._model.place(asked, time) for asked in sorted(self._every)):
                rows = self._model.rows(place)
                of_user = [{name: row[name] for name in ("score", "rank")} for row in rows if row["user_id"] == user]
                listed += [{**place._asdict(), **each, "total_players": len(rows)} for each in of_user if place]
            return 200, listed

        self._subject.agrees(ask, wanted)

    def windows(self, process: int, asked: Asked) -> None:
        """Which periods there are of a window, and which of them goes on."""
        window = self._model.window(asked.board, asked.window)
        asked = asked._replace(period="current")

        def ask() -> Answer:
            _, listed = self._subject.ask(process, f"boards/{asked.board}/periods?window={asked.window}&limit=5")
            status, board = self._subject.ask(process, f"boards/{asked.board}")
            [current] = [each["current"] for each in board["windows"] if each["name"] == asked.window]
            times = [current[name] and datetime.fromisoformat(current[name]) for name in ("starts_at", "ends_at")]
            return status, [[each["period_id"] for each in listed["periods"]], current["period_id"], *times]

        def wanted(time: datetime) -> Answer:
            place, start = self._model.place(asked, time), window.start(time)
            end = start + window.length if start is not None and window.length is not None else None
            newest = [period.period_id for period in self._model.periods_of(asked.board, asked.window)[:5]]
            return 200, [newest, place and place.period_id, start, end]

        self._subject.agrees(ask, wanted)

    def sessions(self, process: int, user: int, limit: int) -> None:
        """A player's own sessions, newest first."""
        self._subject.done["answers compared"] += 1
        found: list[tuple[int, int, bool]] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            answer, _ = self._subject.until_known(process, "GET", "sessions/me", params=query, headers=self._tokens[user])
            page = answer.json()
            found += [(row["session_id"], row["score"], row["voided"]) for row in page["sessions"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        sessions, voided = self._model.sessions[user], self._model.voided
        expected = [(each.session_id, each.body["score"], each.session_id in voided) for each in sessions]
        assert found == sorted(expected, reverse=True)


def of_shorter_path(found: Row) -> Row:
    """An answer as the shorter paths of the board main give it."""
    rows = {name: [of_shorter_path(row) for row in value] for name, value in found.items() if isinstance(value, list)}
    total = {"total_score": found["score"] or 0} if "score" in found else {}
    return {name: value for name, value in found.items() if name not in ("score", *NUMBERS)} | total | rows


def with_numbers(rows: list[Row], user: int) -> Row | None:
    """A player's row among those of a place, and what a rank tells beside it."""
    row = next((row for row in rows if row["user_id"] == user), None)
    if row is None:
        return None
    better = [other for other in rows if other["rank"] < row["rank"]]
    hundredth = Decimal(100 * (len(rows) - len(better))) / len(rows)
    percentile = float(hundredth.quantize(Decimal("0.0001"), ROUND_HALF_UP))
    to_next = {"points": abs(row["score"] - better[-1]["score"]), "rank": better[-1]["rank"]} if better else None
    return row | {"percentile": percentile, "to_next": to_next}
