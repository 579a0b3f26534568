"""Tells webhooks what happens: the feed, posted. Any number of processes run, and one of them tells each webhook."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import httpx
import structlog

from app.background import running
from app.outgoing import open_client
from domain import webhooks
from domain.feed import Cursor, CursorExpired, Feed, Update
from domain.transaction import Connection, Database, connect
from domain.webhooks import Delivery, ParkedRow, Targets, WebhookRow
from schema.webhooks import delivery_of

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""So often changed webhooks, what is due, and the lock that makes a webhook ours are looked after."""
LOST_SECONDS = 5.0
ANSWER_BYTES = 65_536
AT_ONCE = 8
"""Requests under way to one receiver."""
LONGEST_REASON = 200
ROWS_A_ROUND = 100
DUE_A_ROUND = 100
LONGEST_REST_SECONDS = 300.0
NOT_TRIED = "Not tried: the receiver took nothing else either."


@dataclass(slots=True)
class Tally:
    """What became of one round's requests."""

    taken: int = 0
    failed: int = 0

    @property
    def hopeless(self) -> bool:
        """Say whether the receiver seems to be gone, so that trying on would only take time."""
        return self.failed >= AT_ONCE and not self.taken


@dataclass(slots=True, kw_only=True)
class Teller:
    """Tells one webhook, as long as it stays as it is."""

    webhook: WebhookRow
    database: Database
    feed: Feed
    client: httpx.AsyncClient
    seconds: float
    """In which the receiver has to answer."""
    now: Callable[[], datetime]
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self) -> None:
        """Tell what happens, and again what was not taken, for ever, or until the webhook is changed."""
        async with self.client, asyncio.TaskGroup() as both:
            retrying = both.create_task(self._retry())
            await self._follow()
            retrying.cancel()

    async def _follow(self) -> None:
        """Tell what the feed brings. Where nothing is taken rest ever longer, then go on with the next fact alone."""
        through, rest = Cursor.parse(self.webhook.delivered_through), 0.0
        clock = asyncio.get_running_loop().time
        written = clock()
        while True:
            try:
                updates = await self.feed.news(through, 1 if rest else ROWS_A_ROUND)
            except CursorExpired as expired:
                if not await self._skip(through, expired.oldest):
                    return
                through = expired.oldest
                continue
            tally = Tally()
            wanted = [update for update in updates if not self.webhook.kinds or update.kind in self.webhook.kinds]
            untaken = await self._tell(wanted, tally)
            through = updates[-1].cursor
            if wanted or clock() - written > LOOK_SECONDS:
                async with self.database.transaction() as connection:
                    if not await webhooks.advance(connection, self.webhook, through, untaken, now=self.now()):
                        return
                written = clock()
            if tally.taken:
                rest = 0.0
            elif tally.failed or (rest and untaken):
                rest = min(max(2 * rest, LOOK_SECONDS), LONGEST_REST_SECONDS)
                await asyncio.sleep(rest)

    async def _skip(self, after: Cursor, to: Cursor) -> bool:
        """Note that what the feed held between is gone; say whether the webhook is still the same."""
        log.error("webhook_missed", webhook=str(self.webhook.id), after=str(after), to=str(to))
        async with self.database.transaction() as connection:
            return await webhooks.skip(connection, self.webhook, to)

    async def _tell(self, updates: Sequence[Update], tally: Tally) -> list[Delivery]:
        """Tell facts, those of a subject one after the other; return what was not taken, or waits behind such."""
        chains: dict[str, list[Delivery]] = {}
        for update in updates:
            delivery = delivery_of(update)
            chains.setdefault(delivery.subject, []).append(delivery)
        if not chains:
            return []
        async with self.database.reading() as connection:
            held = await webhooks.held(connection, self.webhook.id, list(chains))
        async with asyncio.TaskGroup() as group:
            told = [group.create_task(self._chain(each, tally)) for key, each in chains.items() if key not in held]
        untaken = [delivery for key in held for delivery in chains[key]]
        return untaken + [delivery for task in told for delivery in task.result()]

    async def _chain(self, chain: Sequence[Delivery], tally: Tally) -> list[Delivery]:
        """Tell one subject's facts in order, up to the first that is not taken; return that and what is behind it."""
        async with self._slots:
            for n, delivery in enumerate(chain):
                if tally.hopeless:
                    return [replace(delivery, error=NOT_TRIED), *chain[n + 1 :]]
                error = await self._post(delivery.cursor, delivery.body)
                if error is not None:
                    tally.failed += 1
                    log.warning("webhook_failed", webhook=str(self.webhook.id), cursor=str(delivery.cursor), why=error)
                    return [replace(delivery, attempts=1, error=error), *chain[n + 1 :]]
                tally.taken += 1
        return []

    async def _retry(self) -> None:
        """Tell again what is due, for ever; what waits behind it comes next."""
        while True:
            async with self.database.reading() as connection:
                heads = await webhooks.due(connection, self.webhook.id, now=self.now(), limit=DUE_A_ROUND)
            async with asyncio.TaskGroup() as group:
                for head in heads:
                    group.create_task(self._again(head))
            await asyncio.sleep(LOOK_SECONDS)

    async def _again(self, head: ParkedRow) -> None:
        parked: ParkedRow | None = head
        async with self._slots:
            while parked is not None:
                error = await self._post(parked.cursor, parked.body)
                async with self.database.transaction() as connection:
                    if error is None:
                        parked = await webhooks.succeed(connection, parked)
                        continue
                    if await webhooks.fail(connection, parked, error, now=self.now()):
                        cursor = str(parked.cursor)
                        log.error("webhook_gave_up", webhook=str(self.webhook.id), cursor=cursor, why=error)
                    return

    async def _post(self, cursor: Cursor, body: str) -> str | None:
        """Post a message; return why it was not taken, None where it was. Of the answer only the status counts."""
        headers = webhooks.sign(self.webhook.secret, str(cursor), body, now=self.now())
        headers |= {"content-type": "application/json", "user-agent": "crossdock"}
        request = self.client.stream("POST", self.webhook.url, content=body, headers=headers)
        why: str | None = f"No answer within {self.seconds:g} seconds."
        try:
            async with asyncio.timeout(self.seconds), request as answer:
                why = None if answer.is_success else f"HTTP {answer.status_code}"
                await _read_off(answer)
        except TimeoutError:
            return why
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"[:LONGEST_REASON]
        return why


async def _read_off(answer: httpx.Response) -> None:
    """Read what is left of an answer, if it is not long: only then its connection is used again."""
    left = ANSWER_BYTES
    with suppress(httpx.HTTPError):
        async for part in answer.aiter_raw():
            left -= len(part)
            if left < 0:
                return


@dataclass(slots=True, kw_only=True)
class Tellers:
    """Those webhooks' tellers that are this process's to run: it holds their locks, on a connection of its own."""

    database: Database
    feed: Feed
    dsn: str
    targets: Targets
    seconds: float
    now: Callable[[], datetime]
    _running: dict[UUID, tuple[int, asyncio.Task[None], AsyncExitStack]] = field(default_factory=dict)

    async def run(self) -> None:
        """Run a teller for each active webhook that no other process tells, for ever.

        A process that dies loses its connection, and with it the locks: another one goes on at its next look.
        """
        connection = await connect(self.dsn)
        try:
            while True:
                async with asyncio.timeout(LOST_SECONDS):
                    await self._look(connection)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for _, _, stack in self._running.values():
                await stack.aclose()
            self._running.clear()
            connection.terminate()

    async def _look(self, connection: Connection) -> None:
        wanted = {row.id: row for row in await webhooks.active_webhooks(connection)}
        await self._end_others(connection, wanted)
        for row in wanted.values():
            if row.id not in self._running and await webhooks.claim(connection, row.id):
                await self._begin(row)

    async def _begin(self, row: WebhookRow) -> None:
        client = open_client(self.targets, connections=AT_ONCE, seconds=self.seconds)
        teller = Teller(
            webhook=row, database=self.database, feed=self.feed, client=client, seconds=self.seconds, now=self.now
        )
        stack = AsyncExitStack()
        task = await stack.enter_async_context(running(teller.run(), name=f"webhook {row.id}"))
        self._running[row.id] = (row.version, task, stack)

    async def _end_others(self, connection: Connection, wanted: dict[UUID, WebhookRow]) -> None:
        """End the tellers of webhooks that were changed, and those that ended by themselves."""
        for webhook_id, (version, task, stack) in list(self._running.items()):
            row = wanted.get(webhook_id)
            if row is None or row.version != version or task.done():
                await stack.aclose()
                del self._running[webhook_id]
                await webhooks.release(connection, webhook_id)
