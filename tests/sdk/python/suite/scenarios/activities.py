"""Activities: results, retries, timeouts, heartbeats, cancellation, asynchronous completion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import AsyncActivityCancelledError
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityCancellationType

from ..env import Env, gates
from ..registry import scenario


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


async def run_calls(env: Env, implementation: Any, *calls: Call, **worker: Any) -> Any:
    async with env.worker(Calls, activities=implementation, **worker):
        return await env.execute(Calls.run, list(calls))


async def fail_calls(env: Env, implementation: Any, *calls: Call, **worker: Any) -> Any:
    async with env.worker(Calls, activities=implementation, **worker):
        return await env.failure("result", env.execute(Calls.run, list(calls)))


@scenario
async def activity_result(env: Env) -> None:
    calls = [Call("echo", [value]) for value in (1, "two", None, {"three": [3, 3.5]}, True)]
    assert await run_calls(env, [echo], *calls) == [1, "two", None, {"three": [3, 3.5]}, True]


@scenario
async def activity_without_eager_execution(env: Env) -> None:
    result = await run_calls(
        env, [echo], Call("echo", ["a"]), Call("echo", ["b"]), disable_eager_activity_execution=True
    )
    assert result == ["a", "b"]


@scenario
async def activity_on_another_task_queue(env: Env) -> None:
    queue = f"{env.task_queue}-other"
    async with env.worker(activities=[echo], task_queue=queue):
        assert await run_calls(env, [], Call("echo", ["far"], task_queue=queue)) == ["far"]


@scenario
async def activity_options_are_kept(env: Env) -> None:
    call = Call(
        "echo", ["x"], start_to_close=5, schedule_to_close=9, schedule_to_start=4, heartbeat=3,
        retry=Retry(2, 1.5, 7, 4, ["Never"]),
        id="my-activity", summary="an activity", priority=2,
    )  # fmt: skip
    assert await run_calls(env, [echo], call) == ["x"]


@scenario
async def activity_retries_until_success(env: Env) -> None:
    assert await run_calls(env, [fail_until], Call("fail_until", [3], retry=FAST)) == [3]


@scenario
async def activity_retries_exhausted(env: Env) -> None:
    policy = Retry(initial=0.05, attempts=2)
    await fail_calls(env, [fail_until], Call("fail_until", [9], retry=policy))


@scenario
async def activity_non_retryable_failure(env: Env) -> None:
    await fail_calls(env, [fail_final], Call("fail_final", [], retry=SLOW))


@scenario
async def activity_non_retryable_type(env: Env) -> None:
    policy = Retry(final_types=["Other", "NotYet"])
    await fail_calls(env, [fail_until], Call("fail_until", [9], retry=policy))


@scenario
async def activity_failure_causes_are_kept(env: Env) -> None:
    await fail_calls(env, [fail_nested], Call("fail_nested", [], retry=ONCE))


@scenario
async def activity_unknown_type(env: Env) -> None:
    await fail_calls(env, [echo], Call("nobody_has_this", [], retry=ONCE))


@scenario
async def activity_next_retry_delay(env: Env) -> None:
    assert await run_calls(env, [fail_with_delay], Call("fail_with_delay", [], retry=SLOW)) == ["done"]


@scenario
async def activity_heartbeat_details_resume(env: Env) -> None:
    call = Call("resume_from_heartbeat", [], heartbeat=10, retry=FAST)
    assert await run_calls(env, [resume_from_heartbeat], call) == [["step", 7]]


@scenario
async def activity_heartbeat_timeout_retries(env: Env) -> None:
    call = Call("hang_after_heartbeat", [], heartbeat=1, retry=FAST)
    assert await run_calls(env, [hang_after_heartbeat], call, **HEARTBEATS) == [["alive"]]


@scenario
async def activity_heartbeat_timeout_final(env: Env) -> None:
    call = Call("hang_after_heartbeat", [], heartbeat=1, retry=ONCE)
    await fail_calls(env, [hang_after_heartbeat], call, **HEARTBEATS)


@scenario
async def activity_start_to_close_timeout(env: Env) -> None:
    await fail_calls(env, [hang], Call("hang", [], start_to_close=0.5, retry=ONCE))


@scenario
async def activity_start_to_close_timeout_retries(env: Env) -> None:
    policy = Retry(initial=0.05, attempts=2)
    await fail_calls(env, [hang], Call("hang", [], start_to_close=0.5, retry=policy))


@scenario
async def activity_schedule_to_close_timeout(env: Env) -> None:
    await fail_calls(env, [hang], Call("hang", [], schedule_to_close=0.5))


@scenario
async def activity_schedule_to_close_leaves_no_time_to_retry(env: Env) -> None:
    call = Call("fail_until", [9], schedule_to_close=20, retry=SLOW)
    await fail_calls(env, [fail_until], call)


@scenario
async def activity_schedule_to_start_timeout(env: Env) -> None:
    call = Call("echo", [1], schedule_to_start=0.3, task_queue=f"{env.task_queue}-nobody")
    await fail_calls(env, [echo], call)


@scenario
async def activity_cancel_try(env: Env) -> None:
    call = Call("beat_until_cancelled", [False], heartbeat=10, retry=ONCE)
    await cancel_started(env, call, "CancelledError")


@scenario
async def activity_cancel_wait(env: Env) -> None:
    call = Call(
        "beat_until_cancelled", [False], heartbeat=10, retry=ONCE,
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )  # fmt: skip
    await cancel_started(env, call, "CancelledError")


@scenario
async def activity_cancel_wait_but_completed(env: Env) -> None:
    call = Call(
        "beat_until_cancelled", [True], heartbeat=10,
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )  # fmt: skip
    await cancel_started(env, call, "finished anyway")


@scenario
async def activity_cancel_abandon(env: Env) -> None:
    call = Call(
        "beat_until_cancelled", [False], heartbeat=10,
        cancellation=ActivityCancellationType.ABANDON,
    )  # fmt: skip
    await cancel_started(env, call, "CancelledError")


async def cancel_started(env: Env, call: Call, result: str) -> None:
    gate = env.gate()
    async with env.worker(CallThenCancel, activities=[beat_until_cancelled], **HEARTBEATS):
        handle = await env.start(CallThenCancel.run, call)
        await gate.entered.wait()
        await env.idle(handle)
        await handle.signal(CallThenCancel.cancel)
        assert await handle.result() == result


@scenario
async def activity_cancel_before_start(env: Env) -> None:
    call = Call(
        "echo", [1], task_queue=f"{env.task_queue}-nobody",
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )  # fmt: skip
    async with env.worker(CallThenCancel):
        handle = await env.start(CallThenCancel.run, call)
        await env.idle(handle)
        await handle.signal(CallThenCancel.cancel)
        assert await handle.result() == "CancelledError"


@scenario
async def activity_cancel_during_backoff(env: Env) -> None:
    call = Call(
        "fail_until", [9], retry=SLOW,
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )  # fmt: skip
    async with env.worker(CallThenCancel, activities=[fail_until]):
        handle = await env.start(CallThenCancel.run, call)
        await env.idle(handle)
        await in_backoff(env, handle)
        await handle.signal(CallThenCancel.cancel)
        assert await handle.result() == "CancelledError"


async def in_backoff(env: Env, handle: Any) -> Any:
    async def pending() -> Any:
        found = (await env.describe(handle)).pending_activities
        return found[0] if found and found[0].attempt == 2 else None

    return await env.until("the activity waits for its second attempt", pending)


@scenario
async def describe_pending_activities(env: Env) -> None:
    async with env.worker(CallThenReturn, activities=[fail_until, held]):
        waiting = await env.start(CallThenReturn.run, Call("fail_until", [9], retry=SLOW), id=env.id("backoff"))
        await env.idle(waiting)
        env.note("in backoff", pending_summary(await in_backoff(env, waiting)))
        await waiting.terminate()

        gate = env.gate(env.id("running"))
        running = await env.start(CallThenReturn.run, Call("held", []), id=env.id("running"))
        await gate.entered.wait()
        await env.idle(running)
        env.note("running", pending_summary((await env.describe(running)).pending_activities[0]))
        await running.signal(CallThenReturn.finish)
        await running.result()
        env.note("closed", len((await env.describe(running)).pending_activities))
        gate.leave.set()


def pending_summary(info: Any) -> dict[str, Any]:
    return {
        "id": info.activity_id,
        "type": info.activity_type.name,
        "state": info.state,
        "attempt": info.attempt,
        "maximum_attempts": info.maximum_attempts,
        "last_failure": info.last_failure.message,
        "last_worker_identity": info.last_worker_identity,
        "has": sorted(
            name
            for name in ("scheduled_time", "last_started_time", "expiration_time",
                         "current_retry_interval", "last_attempt_complete_time",
                         "next_attempt_schedule_time", "heartbeat_details", "last_heartbeat_time")
            if info.HasField(name)
        ),
    }  # fmt: skip


async def async_completion(env: Env, finish: Any, *, fails: bool, by_id: bool) -> None:
    gate = env.gate()
    call = Call("hand_out_token", [], heartbeat=20, retry=ONCE, id="by-hand")
    async with env.worker(Calls, activities=[hand_out_token]):
        handle = await env.start(Calls.run, [call])
        await gate.entered.wait()
        if by_id:
            target = env.client.get_async_activity_handle(
                workflow_id=handle.id, run_id=handle.result_run_id, activity_id="by-hand"
            )
        else:
            target = env.client.get_async_activity_handle(task_token=gate.token)
        await finish(target)
        if fails:
            await env.failure("result", handle.result())
        else:
            assert await handle.result() == ["by hand"]
        await env.failure("completed again", target.complete("twice"))


async def heartbeat_and_complete(target: Any) -> None:
    await target.heartbeat("working")
    await target.complete("by hand")


async def just_fail(target: Any) -> None:
    await target.fail(ApplicationError("by hand", type="ByHand"), last_heartbeat_details=["last"])


@scenario
async def activity_complete_by_token(env: Env) -> None:
    await async_completion(env, heartbeat_and_complete, fails=False, by_id=False)


@scenario
async def activity_complete_by_id(env: Env) -> None:
    await async_completion(env, heartbeat_and_complete, fails=False, by_id=True)


@scenario
async def activity_fail_by_token(env: Env) -> None:
    await async_completion(env, just_fail, fails=True, by_id=False)


@scenario
async def activity_fail_by_id(env: Env) -> None:
    await async_completion(env, just_fail, fails=True, by_id=True)


@scenario
async def activity_cancel_by_token(env: Env) -> None:
    """A worker outside learns of the request by heartbeat and reports the cancellation."""
    gate = env.gate()
    call = Call(
        "hand_out_token", [], heartbeat=20,
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )  # fmt: skip
    async with env.worker(CallThenCancel, activities=[hand_out_token]):
        handle = await env.start(CallThenCancel.run, call)
        await gate.entered.wait()
        await env.idle(handle)
        target = env.client.get_async_activity_handle(task_token=gate.token)
        await env.failure("cancel without request", target.report_cancellation())
        await handle.signal(CallThenCancel.cancel)
        await env.event(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
        try:
            await target.heartbeat("are you there")
            raise AssertionError("the heartbeat must ask for cancellation")
        except AsyncActivityCancelledError:
            pass
        await target.report_cancellation("bye")
        assert await handle.result() == "CancelledError"


@scenario
async def activity_completed_after_workflow_closed(env: Env) -> None:
    gate = env.gate()
    async with env.worker(CallThenReturn, activities=[hand_out_token]):
        handle = await env.start(CallThenReturn.run, Call("hand_out_token", [], id="late"))
        await gate.entered.wait()
        await env.idle(handle)
        await handle.signal(CallThenReturn.finish)
        assert await handle.result() == "left it"
        target = env.client.get_async_activity_handle(task_token=gate.token)
        await env.failure("complete", target.complete(1))
        await env.failure("heartbeat", target.heartbeat(1))
        await env.failure("fail", target.fail(ApplicationError("late")))
        by_id = env.client.get_async_activity_handle(
            workflow_id=handle.id, run_id=handle.result_run_id, activity_id="late"
        )
        await env.failure("complete by id", by_id.complete(1))


@scenario
async def activity_errors_of_unknown_targets(env: Env) -> None:
    async with env.worker(CallThenReturn):
        handle = await env.start(CallThenReturn.run, Call("echo", [1], task_queue=f"{env.task_queue}-nobody"))
        await env.idle(handle)
        by_id = env.client.get_async_activity_handle(
            workflow_id=handle.id, run_id=handle.result_run_id, activity_id="no-such"
        )
        await env.failure("unknown id", by_id.complete(1))
        nowhere = env.client.get_async_activity_handle(
            workflow_id=env.id("absent"), run_id=None, activity_id="a"
        )
        await env.failure("unknown workflow", nowhere.complete(1))
        garbage = env.client.get_async_activity_handle(task_token=b"not a token")
        await env.failure("garbage token", garbage.complete(1))
        await handle.signal(CallThenReturn.finish)
        await handle.result()


@workflow.defn
class Parallel:
    @workflow.run
    async def run(self, count: int) -> int:
        calls = [
            workflow.execute_activity(echo, index, start_to_close_timeout=timedelta(seconds=30))
            for index in range(count)
        ]
        return sum([await call for call in calls])


@scenario
async def activities_in_parallel(env: Env) -> None:
    # Who finishes first is chance, so the run is not recorded for the comparison.
    async with env.worker(Parallel, activities=[echo]):
        handle = await env.client.start_workflow(
            Parallel.run, 20, id=env.id(), task_queue=env.task_queue
        )
        assert await handle.result() == sum(range(20))
