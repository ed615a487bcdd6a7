"""Random operations against a model in plain Python: every answer is compared, ties included, whatever fails meanwhile.

They go over boards of each aggregate and direction. Windows start anew while an example runs, and what is over is settled.
Staff and keys void what was played, ban who played it, and take it back.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from services.leaderboard.rules.places import unpack
from services.leaderboard.rules.played import SessionState
from tests.faults.endings import LATE, Endings
from tests.faults.judging import Judge, Judgement
from tests.faults.looks import KINDS, Look, Looks, of_shorter_path
from tests.faults.model import Asked, Model, Place, Session
from tests.faults.proofs import Bar, Proof
from tests.faults.subject import DOUBT, Subject, now
from tests.faults.watched import Watchers
from tests.playing import API
from tests.system import Accounts, rows

PLAYERS = 8
FIRST_ID = 1_000
PROCESSES = 2
MAIN = Place("main", "all", 0)
AROUND_START = timedelta(seconds=1)

Body = dict[str, Any]

players = st.integers(0, PLAYERS - 1)
processes = st.integers(0, PROCESSES - 1)
scores = st.sampled_from([0, 0, 1, 1, 2, 5, 1_000_000_000])
keys = st.sampled_from([None, None, None, None, *"abcdefghij"])
boards = st.sampled_from([["peak"], ["hill", "peak"], ["form"], ["alps", "hill", "main"], [*Model([]).boards]])
bodies = st.fixed_dictionaries(
    {"score": st.one_of(scores, scores, st.just(-3))},
    optional={
        "metrics": st.fixed_dictionaries({"laps": st.sampled_from([0, 1, 1, 3])}),
        "tags": st.sampled_from([{"track": "alps"}, {"track": "alps"}, {"track": "river"}]),
        "boards": boards,
        "extra": st.sampled_from([{"car": 1}, ["näme", None]]),
    },
)
looks = st.builds(
    Look,
    process=processes,
    kind=st.sampled_from(KINDS),
    number=st.integers(0, 99),
    period=st.sampled_from(["current", "previous", "known", "past"]),
    player=players,
    limit=st.integers(1, 5),
    offset=st.integers(0, 9),
)
judgements = st.builds(
    Judgement,
    act=st.sampled_from(["void", "void", "void", "restore", "restore", "ban", "unban", "unban"]),
    player=players,
    number=st.integers(0, 999),
    process=processes,
    by_key=st.booleans(),
)
BY_RULE: Body = {"metrics": {"laps": 1}, "tags": {"track": "alps"}}
EVERYWHERE: Body = {"score": 1, "metrics": {"laps": 1}, "boards": [*Model([]).boards]}


class Machine(RuleBasedStateMachine):
    """What is done, and what must be answered.

    ``patience``: seconds that it waits for a window to start anew, once. ``waits``: how often it waits, before the end, until
    watchers have been told what is so by then. ``errors`` is given what fails.
    """

    def __init__(
        self,
        make_subject: Callable[[Model], Subject],
        accounts: Accounts,
        proof: Proof,
        bar: Bar,
        patience: float,
        waits: int,
        errors: list[BaseException],
    ) -> None:
        super().__init__()
        self.errors = errors
        self.proof = proof
        self.bar = bar
        self.patience = patience
        self.waits = waits
        self.model = model = Model([FIRST_ID + index for index in range(PLAYERS)])
        self.accounts = accounts
        self.tokens = {user: accounts.new(model.names[user], user) for user in model.users}
        self.renames = 0
        self.subject = make_subject(model)
        self.done = self.subject.done
        self.began = now()
        self.looks = Looks(self.subject, model, self.tokens)
        self.endings = Endings(self.subject, model)
        self.moderator = Judge(self.subject, model, accounts, self.looks, self.endings)
        self.watchers = Watchers(self.subject, model, self.tokens)

    # Writing.

    def submit(self, player: int, process: int, body: Body, key: str | None = None) -> tuple[httpx.Response, bool, datetime]:
        """What is answered, whether it may be of what was stored before, and when it was asked.

        Without a key it cannot be asked again when it is answered 503.
        """
        headers, before = self.tokens[self.model.users[player]], self.subject.ready(process)
        if key is None:
            answer, doubtful = self.subject.client(process).post(f"{API}/submit", json=body, headers=headers), False
        else:
            headers = {**headers, "Idempotency-Key": key}
            answer, doubtful = self.subject.until_known(process, "POST", "submit", json=body, headers=headers)
        self.subject.look_at_periods()
        return answer, doubtful, before

    @initialize(drawn=st.lists(st.tuples(scores, st.booleans()), min_size=PLAYERS, max_size=PLAYERS))
    def everyone_plays(self, drawn: Sequence[tuple[int, bool]]) -> None:
        """A board with everybody on it, for what comes to be about somebody."""
        for player, (score, with_key) in enumerate(drawn):
            self.submit_one(player, player % PROCESSES, BY_RULE | {"score": score}, "a" if with_key else None)

    @rule(played=st.lists(st.tuples(players, processes, bodies, keys), min_size=1, max_size=8))
    def play(self, played: list[tuple[int, int, Body, str | None]]) -> None:
        for each in played:
            self.submit_one(*each)

    def submit_one(self, player: int, process: int, body: Body, key: str | None = None) -> None:
        self.done["sessions with a key" if key else "sessions"] += 1
        user = self.model.users[player]
        identity = user, key or ""
        first = self.model.keys.get(identity)
        if first is not None and first.body == body:
            self.submit_again(player, process, identity[1])
            return
        answer, doubtful, before = self.submit(player, process, body, key)
        if answer.status_code == 503:
            self.find_out(user, body)
        elif first is not None or self.model.taking(body) is None:
            self.done["submissions refused"] += 1
            assert answer.status_code == 422, answer.text
        elif identity in self.model.erased:
            assert answer.status_code == 409, answer.text
            assert answer.json()["type"] == "urn:problem:session-erased"
        else:
            assert answer.status_code == 201, answer.text
            assert doubtful or "idempotent-replayed" not in answer.headers
            session = self.stored(process, user, body, answer.json(), before)
            if key:
                self.model.keys[identity] = session
        self.endings.look()

    def find_out(self, user: int, body: Body) -> None:
        """What was answered 503 may be stored, or not: the log says which."""
        self.subject.doubt()
        self.subject.wait_idle()
        known = {session.session_id for session in self.model.sessions[user]}
        boards = dict(rows(self.subject.mysql, "SELECT id, name FROM boards"))
        windows = {(period.period_id, period.board): period.window for period in self.model.periods.values()}
        logged = rows(self.subject.mysql, "SELECT id, places FROM game_sessions WHERE user_id = %s", user)
        for session_id, packed in logged:
            if session_id not in known:
                at = [(boards[board_id], period_id) for board_id, period_id in unpack(packed)]
                places = frozenset(Place(board, windows.get((period_id, board), "all"), period_id) for board, period_id in at)
                self.model.add(Session(session_id, user, body, places))
                self.subject.named()

    @rule(numbers=st.lists(st.tuples(processes, st.integers(0, 99)), min_size=1, max_size=4))
    def repeat(self, numbers: list[tuple[int, int]]) -> None:
        """Some of the sessions with a key come again."""
        for process, number in numbers:
            if self.model.keys:
                user, key = sorted(self.model.keys)[number % len(self.model.keys)]
                self.submit_again(self.model.users.index(user), process, key)

    def submit_again(self, player: int, process: int, key: str) -> None:
        """It is answered with the places where it counted first, and with how its player stands there now."""
        first = self.model.keys[self.model.users[player], key]
        answer, _, before = self.submit(player, process, dict(first.body), key)
        assert answer.status_code == 201, answer.text
        assert answer.headers["idempotent-replayed"] == "true"
        self.done["repeats"] += 1
        self.done["repeats across a rollover"] += any(self.model.has_ended(place, before) for place in first.places)
        self.is_right_now(process, first, answer.json())

    def stored(self, process: int, user: int, body: Body, answer: dict[str, Any], before: datetime) -> Session:
        """It counts in one place for each window of each board that takes it: in the period of when it was received."""
        after = now()
        named = [Place(each["board"], each["window"], each["period_id"]) for each in answer["standings"]]
        taking = self.model.taking(body)
        assert taking is not None
        assert sorted(each[:2] for each in named) == sorted(
            (board.name, each.name) for board in taking for each in board.windows
        )
        for place in named:
            window = self.model.window(place.board, place.window)
            period = self.model.periods.get(place.period_id)
            assert (place.period_id == 0) == (window.length is None) == (period is None)
            if period is not None:
                assert (period.board, period.window) == place[:2]
                assert period.starts_at in (window.start(before - DOUBT), window.start(after + DOUBT)), (place, before, after)
        if self.model.shown.get(user) not in (None, self.model.names[user]):
            self.subject.named()
        session = Session(answer["session_id"], user, body, frozenset(named))
        self.model.add(session)
        self.is_right_now(process, session, answer)
        return session

    def is_right_now(self, process: int, session: Session, answer: dict[str, Any]) -> None:
        """A score is always right. So is a rank, but for the second that another process's change may take after a fault."""
        user = session.user
        assert (answer["session_id"], answer["user_id"]) == (session.session_id, user)
        assert {Place(each["board"], each["window"], each["period_id"]) for each in answer["standings"]} == session.places
        for told in answer["standings"]:
            place = Place(told["board"], told["window"], told["period_id"])
            standings = self.model.rows(place)
            mine = self.model.own(place, user)
            improved = self.model.reached(place, user) == session.session_id
            assert (told["score"], told["counted"], told["improved"]) == (mine["score"], True, improved), told
            if (told["rank"], told["total_players"]) != (mine["rank"], len(standings) if mine["rank"] else None):
                assert not self.subject.settled, told
                self.looks.rank(process, place.asked, user)
        main = [
            (told["score"] or 0, told["rank"]) for told in answer["standings"] if (told["board"], told["window"]) == MAIN[:2]
        ]
        assert [(answer["total_score"], answer["rank"])] == (main or [(None, None)])

    @rule(what=st.sampled_from(["rename", "rename at once", "leave"]), player=players, process=processes)
    def change_a_player(self, what: str, player: int, process: int) -> None:
        if what == "leave":
            self.leave(player, process)
        else:
            self.rename(player, process, at_once=what == "rename at once")

    def leave(self, player: int, process: int) -> None:
        self.done["players removed"] += 1
        user = self.model.users[player]
        ended = {place for each in self.model.sessions[user] for place in each.places if self.model.has_ended(place, now())}
        self.done["places that had ended, and a player was removed from"] += len(ended)
        answer, _ = self.subject.until_known(process, "DELETE", "me", headers=self.tokens[user])
        assert answer.status_code == 204, answer.text
        self.moderator.gone(self.model.sessions[user])
        self.model.remove(user)
        self.endings.look()
        self.moderator.is_folded(user)
        self.endings.is_told(process, player)

    def rename(self, player: int, process: int, at_once: bool) -> None:
        """The token carries the new name from now on; boards do when they are told, or with the next session."""
        user = self.model.users[player]
        self.done["players renamed"] += 1
        self.renames += 1
        self.model.names[user] = f"model{user}.{self.renames}"
        self.tokens[user] = self.accounts.new(self.model.names[user], user)
        if at_once:
            answer, _ = self.subject.until_known(process, "PUT", "me", headers=self.tokens[user])
            assert answer.status_code == 200, answer.text
            self.model.shown[user] = self.model.names[user]
            mine = of_shorter_path(self.model.own(MAIN, user))
            self.looks.is_own(process, MAIN.asked, user, answer.json(), mine)

    @rule(played=st.lists(st.tuples(players, bodies), min_size=1, max_size=4))
    def play_over_a_rollover(self, played: list[tuple[int, Body]]) -> None:
        """Once an example: from a second before a window starts anew until a second after. What came before it comes again."""
        start = self.model.next_start(now() + AROUND_START)
        if start - now() > timedelta(seconds=self.patience):
            return
        self.patience = 0
        time.sleep(max(0.0, (start - AROUND_START - now()).total_seconds()))  # a window starts when it is time
        [(board, window)] = [each for each in self.model.windows if each[1].start(start) == start][:1]
        number = 0
        while now() < start + AROUND_START:
            player, body = played[number % len(played)]
            self.submit_one(player, number % PROCESSES, body if number % 2 else EVERYWHERE)
            for period in ("current", "previous"):
                self.looks.page(number % PROCESSES, Asked(board.name, window.name, period), PLAYERS, 0)
            number += 1
        self.repeat([(number % PROCESSES, number) for number in range(PLAYERS)])
        time.sleep(max(0.0, (start + LATE - now()).total_seconds()))
        self.endings.end()

    # Judging.

    @rule(judged=st.lists(judgements, min_size=1, max_size=4))
    def judge(self, judged: list[Judgement]) -> None:
        for each in judged:
            self.moderator.judge(each)

    # Reading.

    @rule(looks=st.lists(looks, min_size=1, max_size=6))
    def look(self, looks: list[Look]) -> None:
        for each in looks:
            self.looks.look(each)
            self.endings.is_told(each.process, each.number)

    # Faults. No rule has a precondition: what may be drawn must not depend on a system that outlives the example.

    @rule(what=st.sampled_from(["flush", "stop", "start", "start", "kill", "kill"]), process=processes)
    def fault(self, what: str, process: int) -> None:
        match what:
            case "flush":
                self.subject.flush_redis()
            case "stop":
                self.subject.stop_redis()
            case "start":
                self.subject.start_redis()
            case "kill":
                self.subject.kill(process)

    @rule()
    def settle(self) -> None:
        self.subject.settle()
        if self.waits and self.subject.stack.redis.running:
            self.waits -= 1
            self.watchers.have_last_state()

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.end()
        finally:
            if isinstance(error := sys.exception(), Exception):  # whether of a step or of the end
                self.errors.append(error)
            self.watchers.close()
            self.subject.close()

    def end(self) -> None:
        """Every place that there is, past ones too, is read through every process; and the log names no others."""
        self.play_over_a_rollover([(0, EVERYWHERE)])
        self.subject.start_redis()
        self.subject.settle()
        for place in self.model.places():
            for process in range(PROCESSES):
                self.looks.page(process, place.asked, PLAYERS, 0)
        self.endings.end()
        self.endings.hold()
        self.moderator.is_written_down()
        board_ids = dict(rows(self.subject.mysql, "SELECT name, id FROM boards"))
        logged = {
            session_id: (sorted(unpack(packed)), state == SessionState.VOIDED)
            for session_id, packed, state in rows(self.subject.mysql, "SELECT id, places, state FROM game_sessions")
        }
        assert logged == {
            session.session_id: (
                sorted((board_ids[place.board], place.period_id) for place in session.places),
                session.session_id in self.model.voided,
            )
            for sessions in self.model.sessions.values()
            for session in sessions
        }
        self.watchers.have_last_state()
        asyncio.run(self.proof.whole(self.subject.settings))
        start = self.began
        while (start := self.model.next_start(start)) <= now():
            self.done["windows that started anew"] += 1
        self.proof.did("examples")
        for what, times in self.done.items():
            self.proof.did(what, times)
        self.bar.advance()
