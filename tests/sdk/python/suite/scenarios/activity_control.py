"""Activities under control from outside: cancellation, describe, asynchronous completion."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import AsyncActivityCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityCancellationType

from ..calls import (
    HEARTBEATS,
    ONCE,
    SLOW,
    Call,
    Calls,
    CallThenCancel,
    CallThenReturn,
    beat_until_cancelled,
    fail_until,
    hand_out_token,
    held,
)  # fmt: skip
from ..env import Env
from ..registry import scenario


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
        waiting = await env.start(
            CallThenReturn.run, Call("fail_until", [9], retry=SLOW), id=env.id("backoff")
        )
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
        handle = await env.start(
            CallThenReturn.run, Call("echo", [1], task_queue=f"{env.task_queue}-nobody")
        )
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
