"""Children, and signals and cancellations between workflows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import (
    Priority,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from ..env import Env
from ..registry import scenario

SECOND = timedelta(seconds=1)


@workflow.defn
class Part:
    """A child that ends in the way it is told, once it is let go."""

    def __init__(self) -> None:
        self.going = False

    @workflow.signal
    def go(self) -> None:
        self.going = True

    @workflow.run
    async def run(self, how: str) -> Any:
        if how == "at once":
            return "quick"
        await workflow.wait_condition(lambda: self.going)
        if how == "fail":
            raise ApplicationError("broken", type="Broken")
        if how == "retry" and workflow.info().attempt == 1:
            raise ApplicationError("once")
        if how == "continue":
            workflow.continue_as_new("at once")
        info = workflow.info()
        assert info.parent and info.root
        return [info.parent.workflow_id, info.root.workflow_id, how]


@workflow.defn
class Whole:
    """Starts a child and waits for it, or lets it be when it is told to end."""

    def __init__(self) -> None:
        self.cancelling = False
        self.ending = False

    @workflow.signal
    def cancel_child(self) -> None:
        self.cancelling = True

    @workflow.signal
    def end(self) -> None:
        self.ending = True

    @workflow.run
    async def run(self, child_id: str, how: str, options: str) -> Any:
        given: dict[str, Any] = {
            "plain": {},
            "retry": {"retry_policy": RetryPolicy(initial_interval=SECOND, maximum_attempts=2)},
            "time out": {"run_timeout": SECOND * 2},
            "wait": {
                "cancellation_type": ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
            },
            "reject": {"id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE},
            "all": {
                "memo": {"a": 1},
                "static_summary": "a summary",
                "priority": Priority(priority_key=2),
                "execution_timeout": SECOND * 100,
                "search_attributes": TypedSearchAttributes(
                    [SearchAttributePair(SearchAttributeKey.for_keyword("SuiteKeyword"), "k")]
                ),
            },
        }[options]
        child = await workflow.start_child_workflow(Part.run, how, id=child_id, **given)
        await workflow.wait_condition(lambda: self.ending or self.cancelling or child.done())
        if self.cancelling:
            child.cancel()
        if self.ending:
            return "without it"
        return await child


@workflow.defn
class Policies:
    """Starts a child of each parent close policy and ends when it is told."""

    def __init__(self) -> None:
        self.ending = False

    @workflow.signal
    def end(self) -> None:
        self.ending = True

    @workflow.run
    async def run(self, prefix: str) -> None:
        for policy in (
            ParentClosePolicy.TERMINATE,
            ParentClosePolicy.ABANDON,
            ParentClosePolicy.REQUEST_CANCEL,
        ):
            await workflow.start_child_workflow(
                Part.run, "wait", id=f"{prefix}.{policy.name}", parent_close_policy=policy
            )
        await workflow.wait_condition(lambda: self.ending)


@workflow.defn
class Caller:
    """Signals or cancels another workflow."""

    @workflow.run
    async def run(self, target: str, what: str) -> str:
        other = workflow.get_external_workflow_handle(target)
        try:
            if what == "signal":
                await other.signal("go")
            else:
                await other.cancel()
        except FailureError as error:
            return f"{type(error).__name__}: {error}"
        return "done"


async def begin(
    env: Env, how: str, options: str = "plain"
) -> tuple[WorkflowHandle, WorkflowHandle]:
    """A parent and its child; both have done what they can."""
    parent = await env.start(Whole.run, env.id("child"), how, options)
    child = await started(env, parent)
    # The second task is about the child's start.
    await env.idle(parent, 2)
    await env.idle(child)
    return parent, child


async def started(env: Env, parent: WorkflowHandle, count: int = 1) -> WorkflowHandle:
    kind = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
    event = await env.event(parent, kind, count)
    run = event.child_workflow_execution_started_event_attributes.workflow_execution
    env.record(run.workflow_id, run.run_id)
    return env.client.get_workflow_handle(run.workflow_id, run_id=run.run_id)


def current(env: Env, handle: WorkflowHandle) -> WorkflowHandle:
    return env.client.get_workflow_handle(handle.id)


@scenario
async def child_completes(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "complete")
        await child.signal(Part.go)
        env.note("result", len(await parent.result()))


@scenario
async def child_with_all_options(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "complete", "all")
        await child.signal(Part.go)
        await parent.result()


@scenario
async def child_fails(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "fail")
        await child.signal(Part.go)
        await env.failure("failure", parent.result())


@scenario
async def child_retries(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "retry", "retry")
        await child.signal(Part.go)
        await env.event(child, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED)
        await current(env, child).signal(Part.go)
        await parent.result()


@scenario
async def child_continues_as_new(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "continue")
        await child.signal(Part.go)
        env.note("result", await parent.result())


@scenario
async def child_times_out(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, _ = await begin(env, "wait", "time out")
        await env.failure("failure", parent.result())


@scenario
async def child_is_terminated(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "wait")
        await child.terminate("enough")
        await env.failure("failure", parent.result())


@scenario
async def child_is_cancelled_by_its_parent(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "wait", "wait")
        # Whether the outcome of the request or of the child comes first is chance.
        env.runs.remove((parent.id, parent.result_run_id or ""))
        await parent.signal(Whole.cancel_child)
        await env.failure("failure", parent.result())
        await env.failure("child", child.result())


@scenario
async def child_id_is_taken(env: Env) -> None:
    async with env.worker(Whole, Part):
        holder = await env.start(Part.run, "at once", id=env.id("child"))
        await holder.result()
        parent = await env.start(Whole.run, env.id("child"), "at once", "reject")
        await env.failure("failure", parent.result())


@scenario
async def parent_close_policies(env: Env) -> None:
    async with env.worker(Policies, Part):
        parent = await env.start(Policies.run, env.id())
        children = [await started(env, parent, count) for count in (1, 2, 3)]
        await env.idle(parent, 4)
        for child in children:
            await env.idle(child)
        await parent.signal(Policies.end)
        await parent.result()
        terminated, abandoned, cancelled = children
        await env.failure("terminated", terminated.result())
        await env.failure("cancelled", cancelled.result())
        await abandoned.signal(Part.go)
        await abandoned.result()


@scenario
async def parent_ends_before_its_child(env: Env) -> None:
    async with env.worker(Whole, Part):
        parent, child = await begin(env, "wait")
        await parent.signal(Whole.end)
        env.note("result", await parent.result())
        await env.failure("child", child.result())


@scenario
async def external_signal_and_cancel(env: Env) -> None:
    async with env.worker(Caller, Part):
        target = await env.start(Part.run, "at once", id=env.id("closed"))
        await target.result()
        for number, what in enumerate(("signal", "cancel")):
            caller = await env.start(
                Caller.run, env.id("closed"), what, id=env.id(f"late-{number}")
            )
            env.note(f"{what} of a closed one", await caller.result())
            caller = await env.start(Caller.run, "nobody", what, id=env.id(f"vain-{number}"))
            env.note(f"{what} of nobody", await caller.result())
            own = env.id(f"own-{number}")
            caller = await env.start(Caller.run, own, what, id=own)
            env.note(f"{what} of itself", (await caller.result()).replace(env.prefix, ""))
        open_one = await env.start(Part.run, "wait", id=env.id("open"))
        await env.idle(open_one)
        caller = await env.start(Caller.run, open_one.id, "cancel", id=env.id("caller"))
        env.note("cancel of an open one", await caller.result())
        await env.failure("cancelled", open_one.result())


@scenario
async def children_side_by_side(env: Env) -> None:
    """Order is chance: only that all come back is compared."""

    async with env.worker(Crowd, Part):
        handle = await env.client.start_workflow(
            Crowd.run, env.id(), id=env.id("crowd"), task_queue=env.task_queue
        )
        env.note("results", await handle.result())


@workflow.defn
class Crowd:
    """Runs many children at once."""

    @workflow.run
    async def run(self, prefix: str) -> list[str]:
        calls = (
            workflow.execute_child_workflow(Part.run, "at once", id=f"{prefix}.{number}")
            for number in range(25)
        )
        return await asyncio.gather(*calls)
