"""What periods come to when they are settled, and what is told of them ever after."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.faults.model import Model, Place, Result
from tests.faults.subject import ANSWER_SECONDS, Subject
from tests.seasons import digest_of
from tests.system import rows

# None is asked for what came to its end a moment ago: until then somebody's clock may have it that the period goes on.
_END = """
UPDATE periods SET closes_at = NOW(6)
WHERE state = 'open' AND closes_at > NOW(6) AND ends_at < NOW(6) - INTERVAL %s SECOND"""
_UNSETTLED = "SELECT COUNT(*) FROM periods WHERE state <> 'settled' AND closes_at <= NOW(6)"
_SETTLED = "SELECT id FROM periods WHERE state = 'settled' AND id > %s"
_RESULTS = "SELECT `rank`, user_id, score, reward FROM results WHERE period_id = %s ORDER BY position"
_CORRECTED = "SELECT id, data FROM events WHERE kind = 'period.corrected' AND id > %s ORDER BY id"
_TOLD = "SELECT data FROM events WHERE kind = 'period.settled' AND id > %s"
LATE = timedelta(seconds=1)


class Endings:
    """Looks after each change at what was settled meanwhile: that has the results of before the change, or of after it."""

    def __init__(self, subject: Subject, model: Model) -> None:
        self._subject = subject
        self._model = model
        self._kept: dict[Place, list[Result]] = {}
        self._would: dict[Place, list[Result]] = {}
        [(self._first,)] = rows(subject.mysql, "SELECT COALESCE(MIN(id), 1) - 1 FROM periods WHERE state <> 'settled'")
        self._left = {period_id for (period_id,) in rows(subject.mysql, _SETTLED, self._first)}
        [(self._before,)] = rows(subject.mysql, "SELECT COALESCE(MAX(id), 0) FROM events")
        self._last = self._before

    def end(self) -> None:
        """Have the periods that are over closed without grace, and wait until they are settled."""
        rows(self._subject.mysql, _END, LATE.seconds)
        deadline = time.monotonic() + ANSWER_SECONDS
        while rows(self._subject.mysql, _UNSETTLED) != [(0,)]:
            assert time.monotonic() < deadline, "a period is not settled"
            time.sleep(0.02)  # nothing announces it
        self.look()

    def look(self) -> None:
        """A change has been made, or none."""
        model = self._model
        settled = {period_id for (period_id,) in rows(self._subject.mysql, _SETTLED, self._first)} - self._left
        would = {place: model.results(place) for place in model.places() if place.period_id}
        for place in {*would, *self._would}:
            if place.period_id in settled and place not in self._kept:
                found = [Result(*row) for row in rows(self._subject.mysql, _RESULTS, place.period_id)]
                assert found in (self._would.get(place, []), would.get(place, [])), place
                self._kept[place] = found
                self._subject.done["periods settled, and results compared"] += 1
        self._would = would

    def rewards(self) -> dict[Place, dict[int, str | None]]:
        """Who would be rewarded now in the periods that are settled."""
        return {place: {each.user: each.reward for each in self._model.results(place)} for place in self._kept}

    def is_corrected(self, before: Mapping[Place, Mapping[int, str | None]]) -> None:
        """Exactly those are told of whose rewards are others since, in an event for each period."""
        expected = {}
        for place, now in self.rewards().items():
            users = {*before.get(place, now), *now}
            changed = {user: (before.get(place, now).get(user), now.get(user)) for user in users}
            expected[place.period_id] = {user: both for user, both in changed.items() if both[0] != both[1]}
        found: dict[int, Any] = {period_id: {} for period_id in expected}
        for event_id, data in rows(self._subject.mysql, _CORRECTED, self._last):
            self._last = event_id
            event = json.loads(data)
            if event["period_id"] in {place.period_id for place in before}:
                assert not found[event["period_id"]], event
                found[event["period_id"]] = {each["user_id"]: (each["was"], each["became"]) for each in event["changed"]}
                self._subject.done["corrections told"] += 1
        assert found == expected

    def is_told(self, process: int, number: int) -> None:
        """What is answered of one of them is what was kept, with names as they are now."""
        if not self._kept:
            return
        place = sorted(self._kept)[number % len(self._kept)]
        kept = self._kept[place]
        status, found = self._subject.ask(process, f"boards/{place.board}/periods/{place.period_id}/results?limit=100")
        assert status == 200
        names = {user: name for user, name in self._model.shown.items() if self._model.sessions[user]}
        assert found["results"] == [
            {"rank": rank, "user_id": user, "username": names.get(user), "score": score, "reward": reward}
            for rank, user, score, reward in kept
        ]
        assert (found["players"], found["digest"]) == (len(kept), digest_of(kept))
        self._subject.done["answers about results"] += 1

    def hold(self) -> None:
        """What was kept is kept, and was told once."""
        told = Counter(json.loads(data)["period_id"] for (data,) in rows(self._subject.mysql, _TOLD, self._before))
        for place, kept in self._kept.items():
            assert [Result(*row) for row in rows(self._subject.mysql, _RESULTS, place.period_id)] == kept
            assert told[place.period_id] == 1
