"""Sends what is due, in every process: to all webhooks at once, and to each a few deliveries at a time.

Each delivery is claimed for a while by one process, tried, and what came of it is written down. A process that ends in between
leaves it to be tried again, with the same id: at least once, in no promised order.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.encryption import Encryption, Undecryptable
from services.common.mysql.database import Database, reason
from services.common.mysql.rounds import FAILURES, Rounds
from services.leaderboard.rules.networks import parse_networks
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.webhooks import deliveries, endpoints, messages
from services.leaderboard.webhooks.client import Answer, Client, Unanswered
from services.leaderboard.webhooks.deliveries import Claimed, DeliveryState
from services.leaderboard.webhooks.endpoints import Waiting
from services.leaderboard.webhooks.schedule import RETRIES, find_wait, read_retry_after
from services.leaderboard.webhooks.secret_keys import unseal
from services.leaderboard.webhooks.targets import Addresses, RefusedTarget, parse_url

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0
"""From one look for deliveries that are due to the next, where none ends sooner."""
AT_ONCE = 4
"""Deliveries that a process tries at once at a webhook which takes them. At one whose last try has failed it tries one."""
_COUNT_SECONDS = 15.0
_STOP_SECONDS = 1.0


def _now() -> datetime:
    return datetime.now(UTC)


class Sender:
    """One process's, with connections of its own. At most `endpoints.MOST` times AT_ONCE deliveries are under way."""

    def __init__(
        self,
        settings: LeaderboardSettings,
        encryption: Encryption,
        *,
        client: Client | None = None,
        retries: Sequence[timedelta] = RETRIES,
        lease: timedelta = deliveries.LEASE,
        interval: float = INTERVAL_SECONDS,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        self._database = Database(settings, *account, pool_size=2)
        self._encryption = encryption
        self.addresses = Addresses(parse_networks(settings.webhook_networks))
        self._client = client or Client(self.addresses)
        self._retries = retries
        self._lease = lease
        self._rounds = Rounds(
            self._go_round, interval, name="sending to webhooks", failing="webhooks cannot be sent to, trying again"
        )
        self._clock = clock
        self._tries: dict[int, set[asyncio.Task[None]]] = {}
        self._takes: set[int] = set()
        self._counted_at = -_COUNT_SECONDS
        self.tried: Counter[bool] = Counter()
        """How many tries arrived, and how many failed."""
        self.counts: Mapping[DeliveryState, int] = {}
        """How many deliveries wait, and how many were given up, when that was looked at last."""

    async def start(self) -> None:
        """Begin. The service answers meanwhile, also when MySQL does not."""
        self._rounds.start()

    async def stop(self) -> None:
        """End. What is under way has a moment; what is not done then is tried again by whoever comes next."""
        await self._rounds.stop()
        if under_way := [each for tries in self._tries.values() for each in tries]:
            _, late = await asyncio.wait(under_way, timeout=_STOP_SECONDS)
            for each in late:
                each.cancel()
            if late:
                await asyncio.wait(late)
        self.addresses.close()
        await self._database.dispose()

    async def round(self) -> int:
        """Begin to try what is due, as far as there is room; gives how many. Raises what the database raises."""
        begun = 0
        for webhook in await endpoints.list_waiting(self._database):
            under_way = self._tries.setdefault(webhook.webhook_id, set())
            room = (AT_ONCE if webhook.webhook_id in self._takes else 1) - len(under_way)
            if room <= 0:
                continue
            work = partial(deliveries.claim, webhook_id=webhook.webhook_id, limit=room, lease=self._lease)
            for claimed in await self._database.transaction(work):
                task = asyncio.create_task(self._deliver(webhook, claimed))
                under_way.add(task)
                task.add_done_callback(partial(self._end, webhook.webhook_id))
                begun += 1
        return begun

    async def finish(self) -> None:
        """Return when nothing is under way."""
        while under_way := [each for tries in self._tries.values() for each in tries]:
            await asyncio.wait(under_way)

    def _end(self, webhook_id: int, task: asyncio.Task[None]) -> None:
        self._tries[webhook_id].discard(task)
        self._rounds.wake()

    async def _deliver(self, webhook: Waiting, claimed: Claimed) -> None:
        try:
            status, error, wait = await self._try(webhook, claimed)
            await self._note(webhook, claimed, status, error, wait)
        except FAILURES as failure:
            # It is tried again when the lease is over.
            log.warning("what came of a delivery cannot be written down", webhook=webhook.name, error=reason(failure))
        except Exception:  # a defect must not end other deliveries
            log.exception("a delivery failed", webhook=webhook.name, delivery_id=claimed.delivery_id)

    async def _try(self, webhook: Waiting, claimed: Claimed) -> tuple[int | None, str | None, timedelta | None]:
        """Send. Gives the status, what went wrong, and how long the receiver wants to be left alone."""
        message = messages.write(claimed.nonce, claimed.event_id, claimed.kind, claimed.data, claimed.created_at)
        now = self._clock()
        try:
            secrets = [unseal(self._encryption, webhook.name, sealed) for sealed in webhook.secrets]
            answer = await self._client.post(parse_url(webhook.url), messages.sign(message, secrets, now), message.body)
        except (RefusedTarget, Unanswered) as refusal:
            return None, str(refusal), None
        except Undecryptable as error:
            log.error("the secret of a webhook cannot be read", webhook=webhook.name, reason=str(error))  # noqa: TRY400
            return None, "its secret cannot be read", None
        return answer.status, _error(answer), read_retry_after(answer.retry_after, self._clock())

    async def _note(
        self, webhook: Waiting, claimed: Claimed, status: int | None, error: str | None, pause: timedelta | None
    ) -> None:
        self.tried[error is None] += 1
        if error is None and status is not None:
            self._takes.add(webhook.webhook_id)
            work = partial(deliveries.note_delivered, delivery_id=claimed.delivery_id, status=status)
            await self._database.transaction(work)
            return
        self._takes.discard(webhook.webhook_id)
        wait = find_wait(self._retries, claimed.tries)
        if wait is not None and pause is not None:
            wait = max(wait, pause)

        async def fail(connection: AsyncConnection) -> None:
            if status == _GONE:
                await endpoints.switch_off(connection, webhook.webhook_id, webhook.url)
            elif pause is not None:
                await endpoints.pause(connection, webhook.webhook_id, webhook.url, pause)
            await deliveries.note_failed(connection, claimed, status, error or "", wait)

        await self._database.transaction(fail)
        if wait is None or status == _GONE:
            what = "a webhook is switched off" if status == _GONE else "a delivery is given up"
            log.warning(what, webhook=webhook.name, delivery_id=claimed.delivery_id, error=error)

    async def _count(self) -> None:
        """How many wait and were given up, now and then: it goes through all of them."""
        if monotonic() - self._counted_at < _COUNT_SECONDS:
            return
        self._counted_at = monotonic()
        async with self._database.reading() as connection:
            counts = Counter[DeliveryState]()
            for (_, state), count in (await deliveries.count(connection)).items():
                counts[state] += count
        self.counts = counts

    async def _go_round(self) -> None:
        await self.round()
        await self._count()


_GONE = 410


def _error(answer: Answer) -> str | None:
    """Why an answer is a failure. None: it is not."""
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return f"answered {answer.status}: redirects are not followed"
    return f"answered {answer.status}"
