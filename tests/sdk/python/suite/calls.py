"""Activities, and workflows that call them as they are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ActivityCancellationType

from .env import gates


@dataclass
class Retry:
    """A retry policy as a workflow argument; seconds."""

    initial: float = 1.0
    coefficient: float = 2.0
    maximum: float | None = None
    attempts: int = 0
    final_types: list[str] | None = None

    def policy(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=self.initial),
            backoff_coefficient=self.coefficient,
            maximum_interval=None if self.maximum is None else timedelta(seconds=self.maximum),
            maximum_attempts=self.attempts,
            non_retryable_error_types=self.final_types,
        )


ONCE = Retry(attempts=1)
FAST = Retry(initial=0.05, coefficient=1.0)
# A retry that no test waits for.
SLOW = Retry(initial=3600)
HEARTBEATS = {
    "max_heartbeat_throttle_interval": timedelta(milliseconds=50),
    "default_heartbeat_throttle_interval": timedelta(milliseconds=50),
}


def my_gate():
    return gates[activity.info().workflow_id]


@activity.defn
async def echo(value: Any) -> Any:
    return value


@activity.defn
async def fail_until(attempt: int) -> int:
    """Fails on the attempts before `attempt`, then returns its number."""
    if activity.info().attempt < attempt:
        raise ApplicationError(f"attempt {activity.info().attempt}", {"k": 1}, type="NotYet")
    return activity.info().attempt


@activity.defn
async def fail_final() -> None:
    raise ApplicationError("final", "detail", type="Final", non_retryable=True)


@activity.defn
async def fail_nested() -> None:
    try:
        raise ValueError("inner")
    except ValueError as error:
        raise ApplicationError("outer", 1, "two", type="Outer") from error


@activity.defn
async def fail_with_delay() -> str:
    if activity.info().attempt == 1:
        raise ApplicationError("later", next_retry_delay=timedelta(milliseconds=100))
    return "done"


@activity.defn
async def resume_from_heartbeat() -> list[Any]:
    if activity.info().attempt == 1:
        activity.heartbeat("step", 7)
        raise ApplicationError("stopped after step 7")
    return list(activity.info().heartbeat_details)


@activity.defn
async def hang() -> str:
    await asyncio.Event().wait()
    return "never"


@activity.defn
async def hang_after_heartbeat() -> list[Any]:
    if activity.info().attempt > 1:
        return list(activity.info().heartbeat_details)
    activity.heartbeat("alive")
    await asyncio.Event().wait()
    return []


@activity.defn
async def held() -> str:
    await my_gate().hold()
    return "let go"


@activity.defn
async def beat_until_cancelled(swallow: bool) -> str:
    gate = my_gate()
    try:
        while True:
            activity.heartbeat(gate.count)
            gate.entered.set()
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        if swallow:
            return "finished anyway"
        raise


@activity.defn
async def hand_out_token() -> str:
    gate = my_gate()
    gate.token = activity.info().task_token
    gate.entered.set()
    activity.raise_complete_async()


@dataclass
class Call:
    """One activity call as a workflow argument."""

    name: str
    args: list[Any]
    start_to_close: float | None = None
    schedule_to_close: float | None = None
    schedule_to_start: float | None = None
    heartbeat: float | None = None
    retry: Retry | None = None
    task_queue: str | None = None
    id: str | None = None
    cancellation: int = ActivityCancellationType.TRY_CANCEL
    summary: str | None = None
    priority: int | None = None


def options(call: Call) -> dict[str, Any]:
    def span(seconds: float | None) -> timedelta | None:
        return None if seconds is None else timedelta(seconds=seconds)

    close = call.start_to_close
    if close is None and call.schedule_to_close is None:
        close = 30
    return {
        "args": call.args,
        "start_to_close_timeout": span(close),
        "schedule_to_close_timeout": span(call.schedule_to_close),
        "schedule_to_start_timeout": span(call.schedule_to_start),
        "heartbeat_timeout": span(call.heartbeat),
        "retry_policy": call.retry and call.retry.policy(),
        "task_queue": call.task_queue,
        "activity_id": call.id,
        "cancellation_type": ActivityCancellationType(call.cancellation),
        "summary": call.summary,
        "priority": Priority(priority_key=call.priority),
    }


@workflow.defn
class Calls:
    """Makes activity calls one after another and returns the results."""

    @workflow.run
    async def run(self, calls: list[Call]) -> list[Any]:
        return [await workflow.execute_activity(call.name, **options(call)) for call in calls]


@workflow.defn
class CallThenCancel:
    """Starts an activity, cancels it when told, and reports what came of it."""

    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def cancel(self) -> None:
        self.told = True

    @workflow.run
    async def run(self, call: Call) -> str:
        handle = workflow.start_activity(call.name, **options(call))
        await workflow.wait_condition(lambda: self.told)
        handle.cancel()
        try:
            return str(await handle)
        except ActivityError as error:
            return type(error.cause).__name__


@workflow.defn
class CallThenReturn:
    """Starts an activity and completes on a signal without waiting for it."""

    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def finish(self) -> None:
        self.told = True

    @workflow.run
    async def run(self, call: Call) -> str:
        handle = workflow.start_activity(call.name, **options(call))
        await workflow.wait_condition(lambda: self.told)
        return "left it" if not handle.done() else "saw it"
