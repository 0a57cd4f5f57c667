"""Activities: results, options, retries, heartbeats and time limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from ..calls import (
    FAST,
    HEARTBEATS,
    ONCE,
    SLOW,
    Call,
    Calls,
    Retry,
    echo,
    fail_final,
    fail_nested,
    fail_until,
    fail_with_delay,
    hang,
    hang_after_heartbeat,
    resume_from_heartbeat,
)  # fmt: skip
from ..env import Env
from ..registry import scenario


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
    assert await run_calls(env, [fail_with_delay], Call("fail_with_delay", [], retry=SLOW)) == [
        "done"
    ]


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
    await fail_calls(env, [hang], Call("hang", [], schedule_to_close=1.5))


@scenario
async def activity_schedule_to_close_leaves_no_time_to_retry(env: Env) -> None:
    call = Call("fail_until", [9], schedule_to_close=20, retry=SLOW)
    await fail_calls(env, [fail_until], call)


@scenario
async def activity_schedule_to_start_timeout(env: Env) -> None:
    call = Call("echo", [1], schedule_to_start=0.3, task_queue=f"{env.task_queue}-nobody")
    await fail_calls(env, [echo], call)


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
