"""What Prometheus is told of the board, beside its requests: whether Redis is used, and how submissions are stored."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from services.leaderboard.index.follower import Follower
from services.leaderboard.live.hub import Hub
from services.leaderboard.log.writer import Writer
from services.leaderboard.reads import Reads
from services.leaderboard.seasons.ends import PeriodEnds
from services.leaderboard.webhooks.deliveries import DeliveryState
from services.leaderboard.webhooks.sender import Sender


class BoardMetrics(Collector):
    """One process's, read when they are asked for: requests do nothing for them but count."""

    def __init__(self, follower: Follower, rankings: Reads, writer: Writer, ends: PeriodEnds, sender: Sender, hub: Hub) -> None:
        self._follower = follower
        self._rankings = rankings
        self._writer = writer
        self._ends = ends
        self._sender = sender
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "leaderboard_index_in_use",
            "1 while ranks and pages are read from Redis, of places that have enough players; 0 while MySQL answers instead.",
            int(self._follower.in_use),
        )
        yield CounterMetricFamily(
            "leaderboard_mysql_answers",
            "Ranks, pages and neighbours that MySQL was asked for instead.",
            self._rankings.from_mysql,
        )
        yield SummaryMetricFamily(
            "leaderboard_follower_round_seconds",
            "Time of a look for changes that Redis has not been told of, in seconds.",
            self._follower.rounds,
            self._follower.rounds_seconds,
        )
        yield GaugeMetricFamily("leaderboard_sessions_waiting", "Submissions that wait to be stored.", self._writer.waiting)
        yield GaugeMetricFamily(
            "leaderboard_periods_waiting", "Periods that are over and wait to be settled.", self._ends.waiting
        )
        for state, meaning in ((DeliveryState.PENDING, "wait to arrive"), (DeliveryState.FAILED, "were given up")):
            yield GaugeMetricFamily(
                f"leaderboard_deliveries_{state}",
                f"Events that {meaning} at webhooks, of all processes, counted now and then.",
                self._sender.counts.get(state, 0),
            )
        tries = CounterMetricFamily("leaderboard_delivery_tries", "Events sent to webhooks.", labels=["arrived"])
        for arrived in (True, False):
            tries.add_metric([str(arrived).lower()], self._sender.tried[arrived])
        yield tries
        yield CounterMetricFamily(
            "leaderboard_groups", "Groups of submissions, each a transaction unless one was refused.", self._writer.groups
        )
        yield CounterMetricFamily(
            "leaderboard_sessions", "Submissions in them that are stored, repeats included.", self._writer.sessions
        )
        yield GaugeMetricFamily("leaderboard_streams", "Live streams that are open.", self._hub.limits.open)
        yield SummaryMetricFamily(
            "leaderboard_stream_look_seconds",
            "Time of a look at all that is watched live, in seconds.",
            self._hub.looked,
            self._hub.looked_seconds,
        )
        yield CounterMetricFamily(
            "leaderboard_streams_cut", "Live streams that were cut off because nobody read them.", self._hub.cut
        )
