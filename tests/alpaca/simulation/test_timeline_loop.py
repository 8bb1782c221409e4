"""Coroutines on the timeline: asyncio's own tools, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.timeline_loop import TimelineLoop, drive

BEGIN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(BEGIN)


@pytest.fixture
def new_loop(timeline: Timeline) -> Iterator[Callable[[], TimelineLoop]]:
    loops: list[TimelineLoop] = []

    def make() -> TimelineLoop:
        loops.append(TimelineLoop(timeline))
        return loops[-1]

    yield make
    for loop in loops:
        loop.end()


def seconds(timeline: Timeline) -> float:
    return (timeline.now - BEGIN).total_seconds()


def test_sleep_and_timeouts_take_virtual_time(
    timeline: Timeline, new_loop: Callable[[], TimelineLoop]
) -> None:
    seen: list[tuple[str, float]] = []

    async def wait() -> None:
        await asyncio.sleep(60)
        seen.append(("slept", seconds(timeline)))
        try:
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(("given up", seconds(timeline)))

    new_loop().create_task(wait())
    timeline.run_until(BEGIN + timedelta(hours=1))
    assert seen == [("slept", 60.0), ("given up", 70.0)]


def test_two_loops_speak_by_a_queue(
    timeline: Timeline, new_loop: Callable[[], TimelineLoop]
) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    got: list[tuple[int, float]] = []

    async def send() -> None:
        for number in range(3):
            await asyncio.sleep(1)
            queue.put_nowait(number)

    async def receive() -> None:
        while True:
            got.append((await queue.get(), seconds(timeline)))

    new_loop().create_task(send())
    new_loop().create_task(receive())
    timeline.run_until(BEGIN + timedelta(seconds=10))
    assert got == [(0, 1.0), (1, 2.0), (2, 3.0)]


def test_its_end_cancels_what_waits_and_nothing_runs_after_it(timeline: Timeline) -> None:
    loop, seen = TimelineLoop(timeline), list[str]()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
            seen.append("slept")
        finally:
            seen.append("ended")

    loop.create_task(wait())
    timeline.run_until(BEGIN + timedelta(seconds=1))
    loop.end()
    timeline.run_until(BEGIN + timedelta(hours=1))
    assert seen == ["ended"]
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)


def test_what_should_answer_at_once_may_not_wait(
    new_loop: Callable[[], TimelineLoop],
) -> None:
    with pytest.raises(RuntimeError, match="waits"):
        drive(asyncio.sleep(1), new_loop())
