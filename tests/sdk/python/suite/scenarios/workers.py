"""What workers do inside a workflow task, and what happens when they go away."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import temporalio.api.workflowservice.v1 as service_pb
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, TaskQueueType
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from ..calls import echo
from ..env import Env, gates
from ..registry import provokes_task_timeout, scenario
from .messages import Mailbox

HALF_MINUTE = timedelta(seconds=30)
# The SDK leaves a timer of this length behind for each local activity and complains when it rings.
LOCAL = timedelta(minutes=10)


@workflow.defn
class Timers:
    """Fires one timer, cancels another, races a third against a signal."""

    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def hurry(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> list[str]:
        seen = []
        began = workflow.time()
        await asyncio.sleep(0.1)
        if workflow.time() - began >= 0.1:
            seen.append("fired")
        cancelled = asyncio.create_task(asyncio.sleep(3600))
        # Lets the timer's command go out, so that cancelling it is an event.
        await asyncio.sleep(0.05)
        cancelled.cancel()
        try:
            await workflow.wait_condition(lambda: self.told, timeout=3600)
            seen.append("signalled")
            await workflow.wait_condition(lambda: False, timeout=0.05)
        except asyncio.TimeoutError:
            seen.append("timed out")
        return seen


@workflow.defn
class CancelledAtOnce:
    """A timer started and cancelled in one task never reaches the server."""

    @workflow.run
    async def run(self) -> None:
        task = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)


@workflow.defn
class Fan:
    """Timers of clearly different length, started together in reverse order."""

    @workflow.run
    async def run(self) -> list[int]:
        order: list[int] = []

        async def after(step: int) -> None:
            await asyncio.sleep(step)
            order.append(step)

        await asyncio.gather(*(after(step) for step in (3, 2, 1)))
        return order


@scenario
async def timers_fire_and_are_cancelled(env: Env) -> None:
    async with env.worker(Timers, CancelledAtOnce):
        handle = await env.start(Timers.run)
        await env.event(handle, EventType.EVENT_TYPE_TIMER_CANCELED)
        await handle.signal(Timers.hurry)
        assert await handle.result() == ["fired", "signalled", "timed out"]
        await env.execute(CancelledAtOnce.run, id=env.id("at-once"))


@scenario
async def timers_fire_in_order(env: Env) -> None:
    async with env.worker(Fan):
        assert await env.execute(Fan.run) == [1, 2, 3]


@activity.defn
async def local_fail_until(attempt: int) -> int:
    if activity.info().attempt < attempt:
        raise ApplicationError(f"local attempt {activity.info().attempt}")
    return activity.info().attempt


@workflow.defn
class Locals:
    """Local activities: success, retry in the task, retry over a timer, failure."""

    @workflow.run
    async def run(self) -> list[Any]:
        brief = RetryPolicy(initial_interval=timedelta(milliseconds=10), backoff_coefficient=1.0)
        seen: list[Any] = [
            await workflow.execute_local_activity(
                echo, "local", start_to_close_timeout=LOCAL, summary="a local one"
            ),
            await workflow.execute_local_activity(
                local_fail_until, 3, start_to_close_timeout=LOCAL, retry_policy=brief
            ),
            await workflow.execute_local_activity(
                local_fail_until, 2, start_to_close_timeout=LOCAL, retry_policy=brief,
                local_retry_threshold=timedelta(milliseconds=1),
            ),
        ]  # fmt: skip
        try:
            await workflow.execute_local_activity(
                local_fail_until, 9, start_to_close_timeout=LOCAL,
                retry_policy=RetryPolicy(maximum_attempts=1),
            )  # fmt: skip
        except FailureError as error:
            seen.append(str(error.cause or error))
        return seen


@workflow.defn
class LongLocal:
    """A local activity longer than the workflow task, kept alive by task heartbeats."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_local_activity(hold_local, start_to_close_timeout=LOCAL)


@activity.defn
async def hold_local() -> str:
    await gates[activity.info().workflow_id].hold()
    return "held"


@scenario
async def local_activities(env: Env) -> None:
    async with env.worker(Locals, activities=[echo, local_fail_until]):
        assert await env.execute(Locals.run) == ["local", 3, 2, "local attempt 1"]


@scenario
async def local_activity_outlives_its_workflow_task(env: Env) -> None:
    gate = env.gate()
    async with env.worker(LongLocal, activities=[hold_local]):
        handle = await env.start(LongLocal.run, task_timeout=timedelta(seconds=5))
        await env.idle(handle, 2)
        gate.leave.set()
        assert await handle.result() == "held"
    # How many heartbeats fit is chance; what counts is that no task timed out.
    events = [event.event_type async for event in handle.fetch_history_events()]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT not in events
    env.runs.clear()


@workflow.defn
class Random:
    """Random numbers, ids and time must be the same in each replay."""

    @workflow.run
    async def run(self) -> bool:
        before = [workflow.random().random(), str(workflow.uuid4()), workflow.now().isoformat()]
        first = await workflow.execute_activity(echo, before, start_to_close_timeout=HALF_MINUTE)
        after = workflow.random().random()
        second = await workflow.execute_activity(echo, after, start_to_close_timeout=HALF_MINUTE)
        return first == before and second == after


@scenario
async def side_effects_replay(env: Env) -> None:
    async with env.worker(Random, activities=[echo], max_cached_workflows=0):
        handle = await env.start(Random.run)
        assert await handle.result()
    await replay(handle, Random)
    # Each input is a random number; the history is not comparable.
    env.runs.clear()


async def replay(handle: Any, *workflows: type) -> None:
    replayer = Replayer(workflows=list(workflows), workflow_runner=UnsandboxedWorkflowRunner())
    await replayer.replay_workflow(await handle.fetch_history())


@workflow.defn(name="Changing")
class Before:
    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def finish(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.told)
        return "old"


@workflow.defn(name="Changing")
class Patched(Before):
    @workflow.run
    async def run(self) -> str:
        new = workflow.patched("my-change")
        await workflow.wait_condition(lambda: self.told)
        return "new" if new else "old"


@workflow.defn(name="Changing")
class Deprecated(Before):
    @workflow.run
    async def run(self) -> str:
        workflow.deprecate_patch("my-change")
        await workflow.wait_condition(lambda: self.told)
        return "newer"


@scenario
async def patches(env: Env) -> None:
    """Code changes three times under running workflows; each worker replays from the start."""

    async def launch(implementation: type, suffix: str) -> Any:
        async with env.worker(implementation, max_cached_workflows=0):
            handle = await env.start("Changing", id=env.id(suffix))
            await env.idle(handle)
        return handle

    old = await launch(Before, "old")
    new = await launch(Patched, "new")
    both = await launch(Patched, "deprecated-later")
    async with env.worker(Patched, max_cached_workflows=0):
        for handle, expected in ((old, "old"), (new, "new")):
            await handle.signal("finish")
            assert await handle.result() == expected
    async with env.worker(Deprecated, max_cached_workflows=0):
        await both.signal("finish")
        assert await both.result() == "newer"
        fresh = await env.start("Changing", id=env.id("newest"), start_signal="finish")
        assert await fresh.result() == "newer"
    await replay(new, Patched)


@workflow.defn(name="Unsteady")
class SteadyBefore:
    @workflow.run
    async def run(self) -> str:
        await asyncio.sleep(0.01)
        await workflow.wait_condition(lambda: False)
        return ""


@workflow.defn(name="Unsteady")
class SteadyAfter:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(echo, "x", start_to_close_timeout=HALF_MINUTE)


@scenario
async def nondeterminism_fails_the_task(env: Env) -> None:
    async with env.worker(SteadyBefore, max_cached_workflows=0):
        handle = await env.start("Unsteady")
        await env.idle(handle, 2)
    async with env.worker(SteadyAfter, activities=[echo], max_cached_workflows=0):
        await handle.signal("wake")
        failed = await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
        env.note("cause", failed.workflow_task_failed_event_attributes.cause)
        await handle.terminate()


@scenario
async def history_replays_offline(env: Env) -> None:
    async with env.worker(Timers, Locals, activities=[echo, local_fail_until]):
        handle = await env.start(Timers.run)
        await env.event(handle, EventType.EVENT_TYPE_TIMER_CANCELED)
        await handle.signal(Timers.hurry)
        await handle.result()
        local = await env.start(Locals.run, id=env.id("locals"))
        await local.result()
    await replay(handle, Timers, Locals)
    await replay(local, Timers, Locals)


@scenario
async def worker_with_sandbox(env: Env) -> None:
    runner: WorkflowRunner = SandboxedWorkflowRunner()
    async with env.worker(Locals, activities=[echo, local_fail_until], workflow_runner=runner):
        assert await env.execute(Locals.run) == ["local", 3, 2, "local attempt 1"]


@scenario
async def worker_is_replaced(env: Env) -> None:
    """The first worker leaves in good order; the second rebuilds the workflow from history."""
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run, 2)
        await env.idle(handle)
        await handle.signal(Mailbox.put, 1)
        await env.idle(handle, 2)
    async with env.worker(Mailbox):
        await handle.signal(Mailbox.put, 2)
        assert await handle.result() == [1, 2]


@scenario
async def sticky_queue_is_reset(env: Env) -> None:
    """After the reset the next task goes to the normal queue, with the whole history."""
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run, 2)
        await env.idle(handle)
        await env.service.reset_sticky_task_queue(
            service_pb.ResetStickyTaskQueueRequest(
                namespace=env.namespace, execution=env.execution(handle)
            )
        )
        await handle.signal(Mailbox.put, 1)
        await env.idle(handle, 2)
        await handle.signal(Mailbox.put, 2)
        assert await handle.result() == [1, 2]


@workflow.defn
class Victim:
    """Runs an activity whose first attempt kills the worker's process."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(
            kill_on_first_attempt,
            start_to_close_timeout=HALF_MINUTE,
            heartbeat_timeout=timedelta(seconds=1),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50)),
        )


@activity.defn
async def kill_on_first_attempt() -> int:
    if activity.info().attempt == 1:
        os._exit(9)
    return activity.info().attempt


@workflow.defn
class TaskVictim:
    """Its code kills the worker's process, if that is the one to be killed."""

    @workflow.run
    async def run(self) -> str:
        if os.environ.get("SUITE_DOOMED"):
            os._exit(9)
        return "survived"


async def doomed_worker(env: Env) -> asyncio.subprocess.Process:
    """A worker in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "suite.doomed", env.address, env.task_queue,
        cwd=Path(__file__).parents[2], env={**os.environ, "SUITE_DOOMED": "1"},
    )  # fmt: skip


@scenario
@provokes_task_timeout
async def worker_dies_in_an_activity(env: Env) -> None:
    process = await doomed_worker(env)
    handle = await env.start(Victim.run)
    assert await process.wait() == 9
    async with env.worker(Victim, activities=[kill_on_first_attempt]):
        assert await handle.result() == 2


@scenario
@provokes_task_timeout
async def worker_dies_in_a_workflow_task(env: Env) -> None:
    process = await doomed_worker(env)
    handle = await env.start(TaskVictim.run, task_timeout=timedelta(seconds=2))
    assert await process.wait() == 9
    async with env.worker(TaskVictim):
        assert await handle.result() == "survived"


@scenario
@provokes_task_timeout
async def workflow_task_is_polled_and_lost(env: Env) -> None:
    """Someone takes the task and never answers; it times out and goes to a worker."""
    handle = await env.start(TaskVictim.run, task_timeout=timedelta(seconds=2))
    poll = service_pb.PollWorkflowTaskQueueRequest(namespace=env.namespace, identity="lost")
    poll.task_queue.name = env.task_queue
    task = await env.service.poll_workflow_task_queue(poll)
    env.note("polled", {
        "attempt": task.attempt, "started": task.started_event_id,
        "previous": task.previous_started_event_id,
        "events": [event.event_type for event in task.history.events],
    })  # fmt: skip
    async with env.worker(TaskVictim):
        assert await handle.result() == "survived"
    answer = service_pb.RespondWorkflowTaskCompletedRequest(task_token=task.task_token)
    await env.failure("late answer", env.service.respond_workflow_task_completed(answer))


@scenario
async def task_queue_shows_its_pollers(env: Env) -> None:
    async def pollers(kind: TaskQueueType.ValueType) -> Any:
        request = service_pb.DescribeTaskQueueRequest(namespace=env.namespace, task_queue_type=kind)
        request.task_queue.name = env.task_queue
        found = (await env.service.describe_task_queue(request)).pollers
        return sorted({poller.identity for poller in found})

    workflows, activities = (
        TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    env.note("before", await pollers(workflows))
    async with env.worker(Mailbox, activities=[echo]):
        for kind in (workflows, activities):
            found = await env.until("pollers", functools.partial(pollers, kind))
            env.note(f"pollers {kind}", found)


@scenario
async def history_is_followed_live(env: Env) -> None:
    """A long poll shows each event once and in order, and ends with the workflow."""
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run, 3)
        pinned = env.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)

        async def follow() -> list[int]:
            return [
                event.event_id async for event in pinned.fetch_history_events(wait_new_event=True)
            ]

        following = asyncio.create_task(follow())
        for value in range(3):
            await env.idle(handle, value + 1)
            await handle.signal(Mailbox.put, value)
        assert await handle.result() == [0, 1, 2]
        ids = await following
        assert ids == list(range(1, len(ids) + 1))


@scenario
async def many_activities_make_a_long_history(env: Env) -> None:
    async with env.worker(Long, activities=[echo]):
        assert await env.execute(Long.run, 50) == 50
    async with env.worker(Long, activities=[echo]):
        assert await env.client.get_workflow_handle(env.id()).query("steps") == 50


@workflow.defn
class Long:
    def __init__(self) -> None:
        self.done = 0

    @workflow.query
    def steps(self) -> int:
        return self.done

    @workflow.run
    async def run(self, steps: int) -> int:
        for step in range(steps):
            await workflow.execute_activity(echo, step, start_to_close_timeout=HALF_MINUTE)
            self.done += 1
        return self.done
