"""What staff and keys do about what was played, and what must be seen of it right after: of standings, pages and results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import httpx

from services.common.tokens import Scope
from tests.faults.endings import Endings
from tests.faults.looks import Looks
from tests.faults.model import Model, Place, Session
from tests.faults.subject import DOUBT, Subject, now
from tests.system import Accounts, rows

STAFF_ID = 900
ACTS = {"void": "session_voided", "restore": "session_restored", "ban": "player_banned", "unban": "player_unbanned"}
_STANDINGS = """
SELECT b.name, COALESCE(w.name, 'all'), s.period_id, s.score, s.sessions, s.reached_session_id
FROM standings AS s JOIN boards AS b ON b.id = s.board_id
LEFT JOIN periods AS p ON p.id = s.period_id LEFT JOIN windows AS w ON w.id = p.window_id
WHERE s.user_id = %s AND s.score IS NOT NULL"""
_DONE = "SELECT act, COUNT(*) FROM moderation_log WHERE id > %s GROUP BY act"


class Judgement(NamedTuple):
    """Something to be done: about a player, or about one of the sessions that can be (``number``). By staff, or by a key."""

    act: str
    player: int
    number: int
    process: int
    by_key: bool


class Judge:
    """Voids, restores, bans and unbans, and holds what is seen then against the model."""

    def __init__(self, subject: Subject, model: Model, accounts: Accounts, looks: Looks, endings: Endings) -> None:
        self._subject = subject
        self._model = model
        self._looks = looks
        self._endings = endings
        self._headers = {
            False: accounts.new("Moira", STAFF_ID, scopes=[Scope.MODERATE]),
            True: accounts.new_key(Scope.MODERATE),
        }
        self._erased: list[int] = []
        self._changed: Counter[str] = Counter()
        [(self._last,)] = rows(subject.mysql, "SELECT COALESCE(MAX(id), 0) FROM moderation_log")

    def judge(self, wanted: Judgement) -> None:
        """Do it; hold that nothing but what it is about has changed, and that all of that has."""
        if wanted.act in ("ban", "unban"):
            self._judge_player(wanted)
        else:
            self._judge_session(wanted)

    def gone(self, sessions: Sequence[Session]) -> None:
        """Sessions have been erased."""
        self._erased += [session.session_id for session in sessions]

    def is_folded(self, user: int) -> None:
        """What MySQL has of a player's standings is what their sessions give, those that count."""
        found = {Place(*row[:3]): row[3:] for row in rows(self._subject.mysql, _STANDINGS, user)}
        assert found == self._model.standings(user)
        self._subject.done["players' standings compared"] += 1

    def is_written_down(self) -> None:
        """Each act that changed something is in the log once."""
        expected = {ACTS[act]: times for act, times in self._changed.items() if times}
        assert dict(rows(self._subject.mysql, _DONE, self._last)) == expected

    def _judge_session(self, wanted: Judgement) -> None:
        model = self._model
        sessions = {session.session_id: session for played in model.sessions.values() for session in played}
        ids = sorted((model.voided if wanted.act == "restore" else sessions) or sessions)
        if self._erased and wanted.number % 10 == 0:
            self._is_refused(wanted, f"sessions/{self._erased[wanted.number % len(self._erased)]}")
            return
        if not ids:
            return
        session = sessions[ids[wanted.number % len(ids)]]
        was_voided, voided = session.session_id in model.voided, wanted.act == "void"
        rewards = self._endings.rewards()
        answer = self._do(wanted, f"sessions/{session.session_id}")
        (model.voided.add if voided else model.voided.discard)(session.session_id)
        self._subject.done["sessions voided" if voided else "sessions restored"] += was_voided is not voided
        assert (answer["session_id"], answer["user_id"], answer["voided"]) == (session.session_id, session.user, voided)
        assert answer["username"] == model.shown[session.user]
        assert {_place(each) for each in answer["standings"]} == session.places
        self._is_seen(wanted, session.user, answer["standings"], rewards, changed=was_voided is not voided)

    def _judge_player(self, wanted: Judgement) -> None:
        model, banned = self._model, wanted.act == "ban"
        some = sorted(model.banned) if not banned and model.banned else model.users
        user = some[wanted.player % len(some)]
        was_banned = user in model.banned
        if not was_banned and not model.sessions[user]:
            self._is_refused(wanted, f"players/{user}")
            return
        rewards = self._endings.rewards()
        answer = self._do(wanted, f"players/{user}")
        (model.banned.add if banned else model.banned.discard)(user)
        self._subject.done["players banned" if banned else "players unbanned"] += was_banned is not banned
        assert (answer["user_id"], answer["banned_at"] is not None) == (user, banned)
        assert answer["username"] == (model.shown[user] if model.sessions[user] else None)
        going_on = {place for place in model.standings(user) if not model.has_ended(place, now() + DOUBT)}
        assert going_on <= {_place(each) for each in answer["standings"]} <= model.standings(user).keys()
        self._is_seen(wanted, user, answer["standings"], rewards, changed=was_banned is not banned)

    def _do(self, wanted: Judgement, path: str) -> dict[str, Any]:
        answer = self._ask(wanted, path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _is_refused(self, wanted: Judgement, path: str) -> None:
        """There is no such player, or no such session any more."""
        answer = self._ask(wanted, path)
        assert answer.status_code == 404, answer.text
        self._subject.done["judgements refused"] += 1

    def _ask(self, wanted: Judgement, path: str) -> httpx.Response:
        headers, reason = self._headers[wanted.by_key], {"reason": f"number {wanted.number}"}
        path = f"{path}/{wanted.act}"
        answer, _ = self._subject.until_known(wanted.process, "POST", path, json=reason, headers=headers)
        return answer

    def _is_seen(
        self,
        wanted: Judgement,
        user: int,
        told: Sequence[Mapping[str, Any]],
        rewards: Mapping[Place, Mapping[int, str | None]],
        *,
        changed: bool,
    ) -> None:
        """Standings, pages and results are right at once, through whichever process they are read."""
        self._changed[wanted.act] += changed
        self._endings.look()
        self._endings.is_corrected(rewards)
        self.is_folded(user)
        for each in told:
            place = _place(each)
            mine = self._model.own(place, user)
            assert each["score"] == mine["score"], each
            total = len(self._model.rows(place)) if mine["rank"] else None
            if (each["rank"], each["total_players"]) != (mine["rank"], total):
                assert not self._subject.settled, (each, mine)
                self._looks.rank(wanted.process, place.asked, user)
        places = sorted({place for session in self._model.sessions[user] for place in session.places})
        for process in range(self._subject.processes):
            if places:
                self._looks.page(process, places[wanted.number % len(places)].asked, len(self._model.users), 0)
            self._endings.is_told(process, wanted.number)


def _place(told: Mapping[str, Any]) -> Place:
    return Place(told["board"], told["window"], told["period_id"])
