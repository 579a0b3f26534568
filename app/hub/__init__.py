"""The hub: those who ask the same and may see the same share one execution, encoded once; each is a cursor in it."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.hub.asks import Ask, Asking
from app.hub.runs import FellBehind, Frame, Member, Run, Runs, Stream, Topic, Window
from domain.feed import Cursor
from schema.context import Context

__all__ = ["Ask", "Asking", "FellBehind", "Frame", "Hub", "Member", "Runs", "Window"]


@dataclass(slots=True, eq=False)
class Hub:
    """The subscriptions of this process. `stream` executes one."""

    stream: Stream
    runs: Runs = field(default_factory=Runs)
    _topics: "WeakValueDictionary[Hashable, Topic]" = field(default_factory=WeakValueDictionary)

    async def join(self, ask: Ask, context: Context) -> Member:
        """Return a member that is told everything after `ask.after`, or from now on. Leave it in the end.

        Raises CursorExpired, or InvalidInput where `after` is no cursor.
        """
        start = Cursor.parse(ask.after) if ask.after is not None else context.standing
        topic = self._topics.get(ask.key)
        if topic is None:
            topic = self._topics[ask.key] = Topic()
        async with topic.lock:  # those who come at once find the run that the first of them begins
            run = topic.near(start, context.feed.position)
            if run is None:
                if ask.after is not None:
                    await context.feed.resume(start)
                run = Run(self.stream, self.runs, topic, ask, context.shared(start), start)
                run.begin()
            return run.admit(start)
