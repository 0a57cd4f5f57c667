"""Activities that a client starts without a workflow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import ActivityExecutionStatus, ActivityFailureError, ActivityHandle
from temporalio.common import ActivityIDConflictPolicy, ActivityIDReusePolicy, RetryPolicy
from temporalio.exceptions import (
    ActivityAlreadyStartedError,
    ApplicationError,
    CancelledError,
    TerminatedError,
    TimeoutError,
)

from ..calls import echo
from ..env import Env
from ..registry import scenario

LIMIT = timedelta(seconds=30)


def cause(failed: ActivityFailureError) -> dict[str, Any]:
    error = failed.cause
    return {"type": type(error).__name__, "message": str(error)}


async def start(env: Env, function: Any, *args: Any, **options: Any) -> ActivityHandle[Any]:
    options = {"id": env.id(), "task_queue": env.task_queue, "start_to_close_timeout": LIMIT} | options
    return await env.client.start_activity(function, args=args, **options)


@activity.defn
async def fail_twice(message: str) -> int:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ApplicationError(message, attempt)
    return attempt


@activity.defn
async def fail_for_good() -> None:
    raise ApplicationError("no more", "detail", type="Final", non_retryable=True)


@activity.defn
async def until_cancelled() -> str:
    try:
        while True:
            activity.heartbeat("alive")
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        activity.heartbeat("stopped")
        raise


@activity.defn
async def who_am_i() -> list[Any]:
    info = activity.info()
    return [info.activity_id, info.activity_type, info.attempt, info.workflow_id, info.workflow_type]


@scenario
async def standalone_result(env: Env) -> None:
    async with env.worker(activities=[echo, who_am_i]):
        handle = await start(env, echo, {"three": [3, 3.5]})
        assert await handle.result() == {"three": [3, 3.5]}
        # Again, by somebody who knows only the id.
        assert await env.client.get_activity_handle(handle.id).result() == {"three": [3, 3.5]}
        handle = await start(env, who_am_i)
        assert await handle.result() == [handle.id, "who_am_i", 1, None, None]


@scenario
async def standalone_retries(env: Env) -> None:
    async with env.worker(activities=[fail_twice]):
        policy = RetryPolicy(initial_interval=timedelta(milliseconds=50))
        handle = await start(env, fail_twice, "not yet", retry_policy=policy)
        assert await handle.result() == 3
        described = await handle.describe()
        env.note("described", {"status": described.status.name, "attempt": described.attempt})


@scenario
async def standalone_failure(env: Env) -> None:
    async with env.worker(activities=[fail_for_good]):
        handle = await start(env, fail_for_good)
        try:
            await handle.result()
            raise AssertionError("it did not fail")
        except ActivityFailureError as failed:
            env.note("failure", cause(failed))
        assert (await handle.describe()).status == ActivityExecutionStatus.FAILED


@scenario
async def standalone_cancel(env: Env) -> None:
    async with env.worker(activities=[until_cancelled]):
        handle = await start(env, until_cancelled, heartbeat_timeout=timedelta(seconds=10))
        await handle.cancel(reason="enough")
        try:
            await handle.result()
            raise AssertionError("it was not cancelled")
        except ActivityFailureError as failed:
            assert isinstance(failed.cause, CancelledError), failed.cause
        described = await handle.describe()
        assert described.status == ActivityExecutionStatus.CANCELED
        env.note("reason", described.canceled_reason)


@scenario
async def standalone_terminate(env: Env) -> None:
    handle = await start(env, echo, 1)
    await handle.terminate(reason="stop it")
    try:
        await handle.result()
        raise AssertionError("it was not terminated")
    except ActivityFailureError as failed:
        assert isinstance(failed.cause, TerminatedError), failed.cause
        env.note("failure", cause(failed))


@scenario
async def standalone_timeout(env: Env) -> None:
    handle = await start(env, echo, 1, schedule_to_start_timeout=timedelta(seconds=1))
    try:
        await handle.result()
        raise AssertionError("it did not time out")
    except ActivityFailureError as failed:
        assert isinstance(failed.cause, TimeoutError), failed.cause
        env.note("failure", cause(failed) | {"kind": failed.cause.type.name})


@scenario
async def standalone_delay(env: Env) -> None:
    async with env.worker(activities=[echo]):
        handle = await start(env, echo, "late", start_delay=timedelta(seconds=1))
        assert await handle.result() == "late"


@scenario
async def standalone_ids(env: Env) -> None:
    id = env.id()
    first = await start(env, echo, 1, id=id)
    try:
        await start(env, echo, 2, id=id)
        raise AssertionError("it was started twice")
    except ActivityAlreadyStartedError as taken:
        assert (taken.activity_id, taken.run_id) == (id, first.run_id)
    same = await start(env, echo, 2, id=id, id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING)
    assert same.run_id == first.run_id
    async with env.worker(activities=[echo]):
        assert await first.result() == 1
        try:
            await start(env, echo, 3, id=id, id_reuse_policy=ActivityIDReusePolicy.REJECT_DUPLICATE)
            raise AssertionError("it was started twice")
        except ActivityAlreadyStartedError:
            pass
        again = await start(env, echo, 3, id=id)
        assert again.run_id != first.run_id and await again.result() == 3


@scenario
async def standalone_async_completion(env: Env) -> None:
    taken = asyncio.Event()

    @activity.defn(name="elsewhere")
    async def elsewhere() -> str:
        taken.set()
        activity.raise_complete_async()

    async with env.worker(activities=[elsewhere]):
        handle = await start(env, elsewhere, result_type=str)
        await taken.wait()
        by_id = env.client.get_async_activity_handle(workflow_id=None, run_id=None, activity_id=handle.id)
        await by_id.heartbeat("half way")
        await by_id.complete("from outside")
        assert await handle.result() == "from outside"
