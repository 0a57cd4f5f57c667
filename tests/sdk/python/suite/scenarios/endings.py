"""How workflows end: cancelled, terminated, failed, timed out, retried, repeated, continued."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import ApplicationError

from ..calls import echo
from ..env import Env, thread_gates
from ..registry import scenario
from .messages import Mailbox

SECOND = timedelta(seconds=1)


@workflow.defn
class Sleeper:
    """Waits to be cancelled, then does what it is told."""

    @workflow.run
    async def run(self, then: str) -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if then == "clean up":
                await asyncio.shield(
                    workflow.execute_activity(echo, "cleaning", start_to_close_timeout=SECOND * 30)
                )
                raise
            if then == "carry on":
                return "carried on"
            if then == "fail":
                raise ApplicationError("failed on cancellation") from None
            raise
        return "slept"


@workflow.defn
class Failing:
    """Fails in the way it is told."""

    @workflow.run
    async def run(self, how: str) -> str:
        attempt = workflow.info().attempt
        if how == "plain":
            raise ApplicationError("plain", {"a": 1}, [2], type="Plain")
        if how == "non-retryable":
            raise ApplicationError("final", non_retryable=True)
        if how == "delayed":
            if attempt == 1:
                raise ApplicationError("wait", next_retry_delay=timedelta(milliseconds=100))
            return "after the delay"
        if how == "cause":
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ApplicationError("outer") from error
        if how == "third time":
            if attempt < 3:
                raise ApplicationError(f"attempt {attempt}", type="NotYet")
            last = workflow.get_last_failure()
            return f"attempt {attempt} after: {last}"
        raise AssertionError(how)


@workflow.defn
class BadTask:
    """Its first workflow task fails on a bug, the second works."""

    @workflow.run
    async def run(self) -> str:
        gate = thread_gates[workflow.info().workflow_id]
        gate.count += 1
        if gate.count == 1:
            raise RuntimeError("a bug")
        return "fixed"


@workflow.defn
class Counter:
    """Continues as new until it reaches its goal."""

    @workflow.run
    async def run(self, number: int, goal: int) -> dict[str, Any]:
        if number < goal:
            workflow.continue_as_new(args=[number + 1, goal])
        return {"number": number, "memo": workflow.memo(), "kept": keyword_here()}


def keyword_here() -> Any:
    return workflow.info().typed_search_attributes.get(KEYWORD)


KEYWORD = SearchAttributeKey.for_keyword("SuiteKeyword")


@workflow.defn
class Mutating:
    """Continues as new with everything changed."""

    @workflow.run
    async def run(self, last: bool) -> dict[str, Any]:
        if not last:
            workflow.continue_as_new(
                args=[True],
                memo={"color": "green"},
                run_timeout=timedelta(minutes=3),
                task_timeout=timedelta(seconds=7),
                retry_policy=RetryPolicy(maximum_attempts=2),
                search_attributes=TypedSearchAttributes([SearchAttributePair(KEYWORD, "changed")]),
            )
        return {"memo": workflow.memo(), "keyword": keyword_here()}


@workflow.defn
class Periodic:
    """For cron: returns, fails, then waits to be told to stop."""

    @workflow.run
    async def run(self) -> int:
        last = workflow.get_last_completion_result(int)
        failure = workflow.get_last_failure()
        if last is None:
            return 1
        if failure is None:
            raise ApplicationError("the second run fails")
        # The result outlives the failed run between.
        assert last == 1 and "second run" in str(failure)
        await asyncio.sleep(3600)
        return 2


@scenario
async def cancel_running(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.start(Sleeper.run, "raise")
        await env.idle(handle)
        await handle.cancel()
        await env.failure("result", handle.result())
        await env.failure_or_none("cancel again", handle.cancel())
        env.note("status", (await handle.describe()).status.name)


@scenario
async def cancel_with_clean_up(env: Env) -> None:
    async with env.worker(Sleeper, activities=[echo]):
        handle = await env.start(Sleeper.run, "clean up")
        await env.idle(handle)
        await handle.cancel()
        await env.failure("result", handle.result())


@scenario
async def cancel_is_ignored(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.start(Sleeper.run, "carry on")
        await env.idle(handle)
        await handle.cancel()
        assert await handle.result() == "carried on"


@scenario
async def cancel_leads_to_failure(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.start(Sleeper.run, "fail")
        await env.idle(handle)
        await handle.cancel()
        await env.failure("result", handle.result())


@scenario
async def cancel_before_the_first_task(env: Env) -> None:
    handle = await env.start(Sleeper.run, "raise")
    await handle.cancel()
    await env.failure_or_none("second request", handle.cancel())
    async with env.worker(Sleeper):
        await env.failure("result", handle.result())


@scenario
async def terminate_running(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.start(Sleeper.run, "raise")
        await env.idle(handle)
        await handle.terminate("detail", 2, reason="enough")
        await env.failure("result", handle.result())
        await env.failure("terminate again", handle.terminate())
        await env.failure_or_none("cancel", handle.cancel())
        env.note("status", (await handle.describe()).status.name)


@scenario
async def terminate_before_the_first_task(env: Env) -> None:
    handle = await env.start(Sleeper.run, "raise")
    await handle.terminate(reason="never ran")
    await env.failure("result", handle.result())


@scenario
async def workflow_fails(env: Env) -> None:
    async with env.worker(Failing):
        for how in ("plain", "non-retryable", "cause"):
            await env.failure(how, env.execute(Failing.run, how, id=env.id(how)))


@scenario
async def workflow_of_unknown_type(env: Env) -> None:
    async with env.worker(Failing):
        handle = await env.start("Nobody")
        await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)

        async def second_attempt() -> bool:
            return (await env.describe(handle)).pending_workflow_task.attempt >= 2

        await env.until("a second attempt", second_attempt)
        await handle.terminate()


@scenario
async def workflow_task_fails_then_works(env: Env) -> None:
    env.thread_gate()
    async with env.worker(BadTask):
        assert await env.execute(BadTask.run) == "fixed"


@scenario
async def workflow_retries_until_success(env: Env) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=5)
    async with env.worker(Failing):
        result = await env.execute(Failing.run, "third time", retry_policy=policy)
        assert result.startswith("attempt 3"), result


@scenario
async def workflow_retries_end(env: Env) -> None:
    few = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=2)
    typed = RetryPolicy(non_retryable_error_types=["Plain"])
    async with env.worker(Failing):
        await env.failure(
            "attempts", env.execute(Failing.run, "plain", id=env.id("few"), retry_policy=few)
        )
        await env.failure(
            "type", env.execute(Failing.run, "plain", id=env.id("typed"), retry_policy=typed)
        )
        await env.failure(
            "final", env.execute(Failing.run, "non-retryable", id=env.id("final"), retry_policy=few)
        )


@scenario
async def workflow_chooses_its_retry_delay(env: Env) -> None:
    policy = RetryPolicy(initial_interval=timedelta(hours=1))
    async with env.worker(Failing):
        assert await env.execute(Failing.run, "delayed", retry_policy=policy) == "after the delay"


@scenario
async def run_timeout(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.start(Sleeper.run, "raise", run_timeout=SECOND * 2)
        await env.failure("result", handle.result())
        env.note("status", (await handle.describe()).status.name)


@scenario
async def run_timeout_retries(env: Env) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=2)
    handle = await env.start(Sleeper.run, "raise", run_timeout=SECOND, retry_policy=policy)
    await env.failure("result", handle.result())


@scenario
async def execution_timeout(env: Env) -> None:
    handle = await env.start(Sleeper.run, "raise", execution_timeout=SECOND)
    await env.failure("result", handle.result())


@scenario
async def execution_timeout_spans_retries(env: Env) -> None:
    policy = RetryPolicy(initial_interval=timedelta(hours=1))
    async with env.worker(Failing):
        handle = await env.start(
            Failing.run, "plain", execution_timeout=SECOND * 30, retry_policy=policy
        )
        await env.failure("result", handle.result())


@scenario
async def continue_as_new_chain(env: Env) -> None:
    async with env.worker(Counter):
        handle = await env.start(
            Counter.run, 1, 3,
            memo={"color": "red"},
            run_timeout=timedelta(minutes=5),
            task_timeout=timedelta(seconds=8),
            search_attributes=TypedSearchAttributes([SearchAttributePair(KEYWORD, "kept")]),
        )  # fmt: skip
        assert await handle.result() == {"number": 3, "memo": {"color": "red"}, "kept": "kept"}
        env.note("follow runs off", await ended_as(env, handle))


async def ended_as(env: Env, handle: Any) -> str:
    pinned = env.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
    status = (await pinned.describe()).status
    assert status == WorkflowExecutionStatus.CONTINUED_AS_NEW
    return status.name


@scenario
async def continue_as_new_changes_everything(env: Env) -> None:
    async with env.worker(Mutating):
        result = await env.execute(Mutating.run, False, memo={"color": "red"})
        assert result == {"memo": {"color": "green"}, "keyword": "changed"}


@scenario
async def cron_repeats(env: Env) -> None:
    async with env.worker(Periodic):
        handle = await env.start(Periodic.run, cron_schedule="@every 1s")
        current = env.client.get_workflow_handle(handle.id)

        async def third_run() -> Any:
            runs = [run async for run in latest_runs(env, handle)]
            return runs[2] if len(runs) == 3 else None

        third = env.client.get_workflow_handle(
            handle.id, run_id=await env.until("a third run", third_run)
        )
        await env.idle(third)
        env.note("type", (await current.describe()).workflow_type)
        await current.terminate()
        await env.failure("result", current.result())


async def latest_runs(env: Env, handle: Any) -> Any:
    """The run ids of a chain so far."""
    run_id = handle.result_run_id
    while run_id:
        yield run_id
        pinned = env.client.get_workflow_handle(handle.id, run_id=run_id)
        run_id = ""
        async for event in pinned.fetch_history_events():
            attributes = getattr(event, event.WhichOneof("attributes"))
            run_id = getattr(attributes, "new_execution_run_id", "") or run_id


@scenario
async def cron_is_cancelled_before_its_first_run(env: Env) -> None:
    """The request does not wait for the schedule."""
    handle = await env.start(Sleeper.run, "raise", cron_schedule="0 0 1 1 *")
    await handle.cancel()
    async with env.worker(Sleeper):
        await env.failure("result", handle.result())


@scenario
async def start_delay(env: Env) -> None:
    async with env.worker(Counter):
        began = asyncio.get_running_loop().time()
        await env.execute(Counter.run, 1, 1, start_delay=SECOND)
        assert asyncio.get_running_loop().time() - began >= 0.99


@scenario
async def start_delay_outlasts_a_signal(env: Env) -> None:
    async with env.worker(Mailbox):
        began = asyncio.get_running_loop().time()
        handle = await env.start(Mailbox.run, 1, start_delay=SECOND)
        await handle.signal(Mailbox.put, "early")
        assert await handle.result() == ["early"]
        assert asyncio.get_running_loop().time() - began >= 0.99


@scenario
async def start_delay_is_terminated(env: Env) -> None:
    handle = await env.start(Counter.run, 1, 1, start_delay=timedelta(hours=1))
    await handle.terminate(reason="not needed")
    await env.failure("result", handle.result())
