"""The books agree whatever is done, in whatever order, at once, and whoever dies in the middle of it."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from domain import inventory
from domain.transaction import Connection, connect
from tests.races.trade import ACTS, Trade, opened

EXAMPLES = int(os.environ.get("EXAMPLES", "6"))
"""How many histories are tried; EXAMPLES=1000 keeps a machine busy for a while."""
STEPS = 20
FAULTS = (asyncio.CancelledError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

Act = tuple[str, int]
acts = st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 10_000))


class Books(RuleBasedStateMachine):
    """A history of a town's trade: one act after the other, several at once, and crashes."""

    def __init__(self, trade: Trade, auditor: Connection, runner: asyncio.Runner) -> None:
        super().__init__()
        self.trade, self.auditor, self.runner = trade, auditor, runner

    @initialize(quantities=st.lists(st.integers(0, 6), min_size=6, max_size=6))
    def open(self, quantities: Sequence[int]) -> None:
        self.runner.run(self.trade.begin(quantities))

    @rule(act=acts)
    def do(self, act: Act) -> None:
        self.runner.run(self.trade.act(*act))

    @rule(together=st.lists(acts, min_size=2, max_size=4))
    def do_at_once(self, together: Sequence[Act]) -> None:
        self._act_at_once(together)

    def _act_at_once(self, together: Sequence[Act]) -> None:
        async def at_once() -> None:
            await asyncio.gather(*(self.trade.act(*act) for act in together))

        self.runner.run(at_once())

    @rule(seeds=st.lists(st.integers(0, 10_000), min_size=5, max_size=8))
    def rush(self, seeds: Sequence[int]) -> None:
        """Let many order at once what is there for few."""
        self._act_at_once([("order", seed) for seed in seeds])

    @rule(together=st.lists(acts, min_size=1, max_size=3), milliseconds=st.integers(0, 12))
    def give_up(self, together: Sequence[Act], milliseconds: int) -> None:
        """Cancel who acts, as a client's lost connection does."""

        async def interrupted() -> None:
            acting = [asyncio.create_task(self.trade.act(*act)) for act in together]
            await asyncio.sleep(milliseconds / 1000)
            for task in acting:
                task.cancel()
            for task in acting:
                with suppress(*FAULTS):
                    await task

        self.runner.run(interrupted())

    @rule(together=st.lists(acts, min_size=1, max_size=3), milliseconds=st.integers(0, 12))
    def crash(self, together: Sequence[Act], milliseconds: int) -> None:
        """Kill every connection in the middle of what it does."""

        async def crashed() -> None:
            acting = [asyncio.create_task(self.trade.act(*act)) for act in together]
            await asyncio.sleep(milliseconds / 1000)
            await self.auditor.execute(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
            for task in acting:
                with suppress(*FAULTS):
                    await task
            await self.trade.settle()

        self.runner.run(crashed())

    @invariant()
    def agree(self) -> None:
        self.runner.run(self._agree())

    async def _agree(self) -> None:
        assert await inventory.check(self.auditor) == []
        over = await self.auditor.fetch("SELECT sku, location_id FROM stock WHERE reserved > on_hand - safety_stock")
        assert {(row["sku"], row["location_id"]) for row in over} <= self.trade.lowered
        known = await self.auditor.fetch("SELECT id FROM customer_order WHERE id = ANY ($1)", self.trade.placed)
        assert {row["id"] for row in known} == set(self.trade.placed)


def test_the_books_agree_after_every_step_of_any_history(dsn: str) -> None:
    async def open_both() -> None:
        nonlocal auditor, trade
        auditor, trade = await connect(dsn), await town.__aenter__()

    auditor: Connection
    trade: Trade
    town = opened(dsn)
    with asyncio.Runner() as runner:
        runner.run(open_both())
        run_state_machine_as_test(
            lambda: Books(trade, auditor, runner),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                phases=[Phase.generate],  # a race that was lost once is seldom lost again while it is shrunk
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(town.__aexit__(None, None, None))
        runner.run(auditor.close())
