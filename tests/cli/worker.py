"""The worker that scripts talk to: a few workflows and activities on the task queue `cli`."""

from __future__ import annotations

import asyncio
import functools
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Worker

TASK_QUEUE = "cli"


@activity.defn
async def echo(value: Any) -> Any:
    return value


@activity.defn
async def fail() -> None:
    raise ApplicationError("it never works", type="Never")


@activity.defn
async def fail_finally() -> None:
    raise ApplicationError("final", type="Final", non_retryable=True)


@activity.defn
async def by_hand() -> str:
    activity.raise_complete_async()


@workflow.defn
class Echo:
    @workflow.run
    async def run(self, value: Any = None) -> Any:
        return value


@workflow.defn
class Fails:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("no luck", type="NoLuck", non_retryable=True)


@workflow.defn
class Stumbles:
    """Never gets through its first workflow task."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("not a failure of the workflow")


@workflow.defn
class Idle:
    """Waits for signals until `finish`; answers queries and updates meanwhile."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.finished = False

    @workflow.run
    async def run(self, *_: Any) -> list[Any]:
        await workflow.wait_condition(lambda: self.finished)
        return self.received

    @workflow.signal
    def put(self, value: Any) -> None:
        self.received.append(value)

    @workflow.signal
    def finish(self) -> None:
        self.finished = True

    @workflow.query
    def contents(self) -> list[Any]:
        return self.received

    @workflow.update
    async def add(self, value: int) -> int:
        self.received.append(value)
        return len(self.received)

    @add.validator
    def positive(self, value: int) -> None:
        if value < 0:
            raise ApplicationError("only positive numbers", type="Negative")


@workflow.defn
class Busy:
    """Has one activity pending that fails again and again, slowly."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            fail,
            activity_id="stuck",
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(initial_interval=timedelta(hours=1)),
        )


@workflow.defn
class ByHand:
    """Has one activity pending that is completed from outside."""

    @workflow.run
    async def run(self) -> Any:
        return await workflow.execute_activity(
            by_hand,
            activity_id="by-hand",
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn
class Parent:
    @workflow.run
    async def run(self) -> Any:
        return await workflow.execute_child_workflow(
            Echo.run, "from the child", id=f"{workflow.info().workflow_id}-child"
        )


@functools.cache
def runtime() -> Runtime:
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=quiet), worker_heartbeat_interval=timedelta(seconds=1))


def worker(client: Client) -> Worker:
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Echo, Fails, Stumbles, Idle, Busy, ByHand, Parent],
        activities=[echo, fail, fail_finally, by_hand],
    )


async def serve(client: Client, stop: asyncio.Event) -> None:
    """Works until `stop`, and tells the server of itself every second so that lists of workers are not waited for."""
    service = client.service_client.config
    eager = await Client.connect(service.target_host, identity=service.identity, runtime=runtime())
    async with worker(eager):
        await stop.wait()
