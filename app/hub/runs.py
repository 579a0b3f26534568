"""Executions that many share: each keeps its newest updates, encoded, and a member is a cursor in them."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import orjson
from graphql import GraphQLError
from strawberry.http import process_result
from strawberry.schema.schema import StreamResult
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.utils.aio import aclosing

from app.faults import present
from app.hub.asks import Ask
from domain.feed import Cursor
from schema.context import Context

T = TypeVar("T")

TOLD_AT_ONCE = 256
"""Members; others may get their turn in between."""
TURN_SECONDS = 0.001
NEAR = 5_000
"""Transactions that a member waits for an execution behind its cursor to pass, rather than have one of its own."""
AGAIN_SECONDS = 0.5
ATTEMPTS = 5
AWAY_SECONDS = 2.0
"""The feed is read far more often while the database answers."""


class FellBehind(Exception):
    """What comes after this member's cursor is no longer kept here: it has to begin anew with its cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much is kept of each execution, and of all together; a member that lags further falls behind."""

    updates: int = 1_000
    bytes: int = 2**20
    bytes_of_all: int = 2**26

    def holds(self, updates: int, size: int) -> bool:
        """Say whether so much may be kept; one update always may."""
        return updates <= 1 or (updates <= self.updates and size <= self.bytes)

    def has_room(self, updates: int, size: int) -> bool:
        """Say whether to go on while nobody has had so much yet."""
        return updates * 2 < self.updates and size * 2 < self.bytes

    def is_much(self, updates: int, size: int) -> bool:
        """Say whether so much is enough to tell before others have their turn."""
        return updates * 16 > self.updates or size * 16 > self.bytes


@dataclass(slots=True, eq=False)
class Frame:
    """One update, encoded. `subject` is what it is the newest of, where it may stand for the older ones."""

    cursor: Cursor
    payload: bytes
    subject: Hashable = None
    _encoded: tuple[bytes, object, Any] | None = None

    def encoded(self, head: bytes, encode: Callable[[bytes], T]) -> T:
        """Return the message that begins so, made ready by `encode`; those whose clients chose the same id share it."""
        if self._encoded is None or self._encoded[0] != head or self._encoded[1] is not encode:
            self._encoded = head, encode, encode(head + self.payload + b"}")
        made: T = self._encoded[2]
        return made


Push: TypeAlias = Callable[[Frame], bool]
Stream: TypeAlias = Callable[..., Awaitable[StreamResult]]
"""What executes a subscription: `strawberry.Schema.stream`."""


@dataclass(slots=True, eq=False)
class Runs:
    """All executions of this process, and the bytes of updates that they keep."""

    window: Window = field(default_factory=Window)
    size: int = 0
    _all: set["Run"] = field(default_factory=set)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def add(self, run: "Run") -> None:
        """Count one in."""
        self._all.add(run)

    def remove(self, run: "Run") -> None:
        """Count one out, with what it keeps."""
        self._all.discard(run)
        self.size -= run.size

    def shrink(self) -> None:
        """Where all together keep too much, let the largest forget first."""
        while self.size > self.window.bytes_of_all:
            max(self._all, key=lambda run: run.size).shrink()


@dataclass(slots=True, eq=False)
class Member:
    """One subscriber: a cursor in a run, which whoever sends the next frame moves on once that is sent.

    `push` writes a frame at once where it can, and says whether it did.
    """

    run: "Run"
    cursor: Cursor
    push: Push | None = None
    _waiting: asyncio.Future[None] | None = None

    async def next(self) -> Frame | None:
        """Wait for the update after the last one, None where there will be no more; or raise FellBehind."""
        while (frame := self.run.after(self.cursor)) is None:
            if self.run.ended:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return frame

    def tell(self, frame: Frame | None = None) -> None:
        """Go on: with this frame, where nothing comes before it."""
        waiting = self._waiting
        if waiting is None or waiting.done():
            return  # it is about to look by itself
        if frame is not None and frame.cursor <= self.cursor:
            self.run.keeps_up()
        elif frame is not None and self.push is not None and self.push(frame):
            self.cursor = frame.cursor
            self.run.keeps_up()
        else:
            waiting.set_result(None)

    def passed(self) -> Cursor:
        """Return the cursor up to which nothing is missing: of a quiet subscription it moves on with the feed."""
        return max(self.cursor, self.run.passed) if self.run.is_had(self.cursor) else self.cursor

    def leave(self) -> None:
        """Be told nothing more."""
        self.run.dismiss(self)


@dataclass(eq=False)
class Topic:
    """All executions of one key: at most one that is live, the others on their way there."""

    runs: list["Run"] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def near(self, start: Cursor, position: Cursor) -> "Run | None":
        """Return a run that holds everything after `start`, or will soon; `position` is where the feed stands."""
        if start > position:
            return None  # perhaps it is ahead of this process, perhaps invented
        for run in reversed(self.runs):
            if run.floor <= start and run.passed.epoch == start.epoch and start.xid - run.passed.xid <= NEAR:
                return run
        return None


@dataclass(slots=True, eq=False)
class Run:
    """One execution, and its newest updates. It goes no further ahead than its fastest member can follow."""

    stream: Stream
    runs: Runs
    topic: Topic
    ask: Ask
    context: Context
    floor: Cursor
    """Everything after it, up to `passed`, is in `frames`, or was replaced by a newer frame of its subject."""
    ended: bool = False
    errors: list[GraphQLError] = field(default_factory=list)
    """Why it ended."""
    size: int = 0
    _frames: list[Frame] = field(default_factory=list)
    _members: dict[Member, None] = field(default_factory=dict)
    _ahead: int = 0
    """Bytes told since a member was last seen to have them all, and how many updates."""
    _updates_ahead: int = 0
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _attempts: int = 0
    _turn: float = 0.0
    """When others last had theirs, on the loop's clock; since then so many updates were told, of so many bytes."""
    _updates_told: int = 0
    _told: int = 0

    @property
    def passed(self) -> Cursor:
        """Return the cursor up to which everything was told, or is of no interest here."""
        return self.context.progress.passed or self.floor

    def begin(self) -> None:
        """Start to execute."""
        self.topic.runs.append(self)
        self.runs.add(self)
        self._task = asyncio.create_task(self._produce(), name="subscription")

    def admit(self, start: Cursor) -> Member:
        """Take in a member that has everything up to `start`."""
        member = Member(self, start)
        self._members[member] = None
        return member

    def dismiss(self, member: Member) -> None:
        """Let a member go; without any there is nothing to do."""
        self._members.pop(member, None)
        self._room.set()
        if not self._members:
            self._end()

    def after(self, cursor: Cursor) -> Frame | None:
        """Return the first frame after the cursor, if there is one yet."""
        if cursor < self.floor:
            raise FellBehind
        frames = self._frames
        if self.is_had(cursor):
            self.keeps_up()
            return None
        if len(frames) == 1 or frames[-2].cursor <= cursor:
            return frames[-1]
        return frames[bisect_right(frames, cursor, key=lambda frame: frame.cursor)]

    def is_had(self, cursor: Cursor) -> bool:
        """Say whether there is nothing after the cursor."""
        return cursor >= (self._frames[-1].cursor if self._frames else self.floor)

    def keeps_up(self) -> None:
        """Note that a member has everything."""
        self._ahead = self._updates_ahead = 0
        self._room.set()

    async def _produce(self) -> None:
        try:
            while True:
                if not await self._execute():
                    break
                await asyncio.sleep(AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - told under a reference
            self.errors = [present(error, operation=self.ask.operation_name)]
        self._end()

    async def _execute(self) -> bool:
        """Execute until it ends. Say whether to go on where it stopped, because only the database was away."""
        progress, ask = self.context.progress, self.ask
        self.context.progress.telling = None
        source = await self.stream(
            ask.query,
            variable_values=ask.variables_from(self.passed),
            context_value=self.context,
            operation_name=ask.operation_name,
        )
        async with aclosing(source):
            async for result in source:
                assert isinstance(result, ExecutionResult | PreExecutionError)  # noqa: S101 - @defer is not in the schema
                if _is_outage(result) and self._is_to_try_again():
                    return True
                if progress.telling is None:  # it is no update, but why there are none
                    self.errors = list(result.errors or ())
                    return False
                payload = orjson.dumps(process_result(result))
                await self._publish(Frame(progress.telling, payload, progress.subject))
                if self.ended:
                    break
        return False

    def _is_to_try_again(self) -> bool:
        """Say so for as long as the database is away; where it is there, an update may be too much for it."""
        self._attempts += 1
        return self._attempts < ATTEMPTS or self.context.feed.age() > AWAY_SECONDS

    async def _publish(self, frame: Frame) -> None:
        self._attempts = 0
        self._frames.append(frame)
        self._grow(len(frame.payload))
        for part in _parts(list(self._members)):
            for member in part:
                if member.run is self:
                    member.tell(frame)
            await self._let_others()
        self._join_others(frame.cursor)
        while self._members and not self.runs.window.has_room(self._updates_ahead, self._ahead):
            self._room.clear()
            await self._room.wait()

    async def _let_others(self) -> None:
        """Give others their turn, though not after each of the updates that come together: they are sent together."""
        time = asyncio.get_running_loop().time
        if time() - self._turn > TURN_SECONDS or self.runs.window.is_much(self._updates_told, self._told):
            await asyncio.sleep(0)
            self._turn, self._updates_told, self._told = time(), 0, 0

    def _grow(self, size: int) -> None:
        self.size += size
        self.runs.size += size
        self._ahead += size
        self._updates_ahead += 1
        self._told += size
        self._updates_told += 1
        if not self.runs.window.holds(len(self._frames), self.size):
            self._conflate()
            while not self.runs.window.holds(len(self._frames), self.size):
                self.shrink()
        self.runs.shrink()

    def _conflate(self) -> None:
        """Keep of each subject the newest frame only: those who keep up have had the others."""
        newest: dict[Hashable, Frame] = {frame.subject: frame for frame in self._frames}
        if len(newest) > 1 or None not in newest:
            self._keep([frame for frame in self._frames if frame.subject is None or newest[frame.subject] is frame])

    def shrink(self) -> None:
        """Forget the older quarter; who has not had it falls behind."""
        count = len(self._frames) // 4 + 1
        self.floor = self._frames[count - 1].cursor
        self._keep(self._frames[count:])

    def _keep(self, frames: list[Frame]) -> None:
        size = sum(len(frame.payload) for frame in frames)
        self.runs.size += size - self.size
        self._frames, self.size = frames, size

    def _join_others(self, passed: Cursor) -> None:
        """Hand over to a run that is as far or further the members whose updates it holds."""
        for other in self.topic.runs:
            if other is not self and other.floor <= passed <= other.passed:
                for member in [each for each in self._members if each.cursor >= other.floor]:
                    del self._members[member]
                    other._members[member] = None  # noqa: SLF001 - of its own kind
                    member.run = other
                    member.tell()
                break
        if not self._members:
            self._end()

    def _end(self) -> None:
        if self.ended:
            return
        self.ended = True
        self.topic.runs.remove(self)
        self.runs.remove(self)
        for member in self._members:
            member.tell()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()


def _parts(members: list[Member]) -> Iterator[list[Member]]:
    rest = iter(members)
    while part := list(islice(rest, TOLD_AT_ONCE)):
        yield part


def _is_outage(result: ExecutionResult | PreExecutionError) -> bool:
    return any((error.extensions or {}).get("code") == "UNAVAILABLE" for error in result.errors or ())
