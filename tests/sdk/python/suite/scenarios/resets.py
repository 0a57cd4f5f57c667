"""Runs that are reset, deleted, paused, and given other options."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import temporalio.api.common.v1 as common_pb
import temporalio.api.workflow.v1 as workflow_pb
import temporalio.api.workflowservice.v1 as service_pb
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from ..env import Env
from ..registry import scenario


@activity.defn
async def add_one(number: int) -> int:
    return number + 1


@workflow.defn
class Steps:
    """Two activities, then as many signals as asked for."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @workflow.run
    async def run(self, signals: int) -> list[Any]:
        total = 0
        for _ in range(2):
            total = await workflow.execute_activity(
                add_one, total, start_to_close_timeout=timedelta(seconds=30)
            )
        await workflow.wait_condition(lambda: len(self.heard) >= signals)
        return [total, *self.heard]

    @workflow.signal
    def hear(self, word: str) -> None:
        self.heard.append(word)


@workflow.defn
class Answer:
    @workflow.run
    async def run(self, answer: str) -> str:
        return answer


@workflow.defn
class Asks:
    """One child after another."""

    @workflow.run
    async def run(self, names: list[str]) -> list[str]:
        info = workflow.info()
        return [
            await workflow.execute_child_workflow(Answer.run, name, id=f"{info.workflow_id}.{name}")
            for name in names
        ]


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.word = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self.word))
        return self.word

    @workflow.signal
    def say(self, word: str) -> None:
        self.word = word


@workflow.defn
class Trusts:
    """One child that takes its time."""

    @workflow.run
    async def run(self) -> str:
        id = f"{workflow.info().workflow_id}.child"
        return await workflow.execute_child_workflow(Waits.run, id=id)


async def reset(env: Env, handle: WorkflowHandle, finish: int, **options: Any) -> WorkflowHandle:
    """Resets a run; gives and records the new one."""
    request = service_pb.ResetWorkflowExecutionRequest(
        namespace=env.namespace, workflow_execution=env.execution(handle), reason="once more",
        workflow_task_finish_event_id=finish, request_id=str(uuid.uuid4()), **options,
    )  # fmt: skip
    run_id = (await env.service.reset_workflow_execution(request)).run_id
    env.record(handle.id, run_id)
    return env.client.get_workflow_handle(handle.id, run_id=run_id)


@scenario
async def reset_a_closed_workflow_to_its_first_task(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 1)
        await env.idle(handle, 3)
        await handle.signal(Steps.hear, "word")
        assert await handle.result() == [2, "word"]
        first = await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        again = await reset(env, handle, first.event_id)
        assert await again.result() == [2, "word"]


@scenario
async def reset_an_open_workflow_in_the_middle(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 2)
        second = await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, 2)
        await env.idle(handle, 3)
        await handle.signal(Steps.hear, "before")
        await env.idle(handle, 4)
        again = await reset(env, handle, second.event_id)
        await env.idle(again, 3)
        await again.signal(Steps.hear, "after")
        assert await again.result() == [2, "before", "after"]
        before = env.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
        told = (await env.describe(before)).workflow_extended_info
        assert told.reset_run_id == again.run_id
        await env.failure("result", handle.result())


@scenario
async def reset_without_its_signals(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 1)
        await env.idle(handle, 3)
        await handle.signal(Steps.hear, "lost")
        await handle.result()
        first = await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        signals = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL
        again = await reset(env, handle, first.event_id, reset_reapply_exclude_types=[signals])
        await env.idle(again, 3)
        await again.signal(Steps.hear, "heard")
        assert await again.result() == [2, "heard"]


@scenario
async def reset_between_children(env: Env) -> None:
    async with env.worker(Asks, Answer):
        handle = await env.start(Asks.run, ["one", "two"])
        assert await handle.result() == ["one", "two"]
        done = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
        first = await env.event(handle, done)
        # The task that hears of the first child's end.
        again = await reset(env, handle, first.event_id + 3)
        assert await again.result() == ["one", "two"]


@scenario
async def reset_while_a_child_runs(env: Env) -> None:
    async with env.worker(Trusts, Waits):
        handle = await env.start(Trusts.run)
        second = await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, 2)
        child = env.client.get_workflow_handle(f"{handle.id}.child")
        await env.idle(child)
        again = await reset(env, handle, second.event_id)
        await env.idle(again, 2)
        # The child outlives the run that started it, and tells the one that has it now.
        await child.signal(Waits.say, "done")
        assert await again.result() == "done"


@scenario
async def reset_points_that_are_none(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 0)
        await handle.result()
        for finish in (0, 1, 2, 5, 1000):
            await env.failure(f"to {finish}", reset(env, handle, finish))


@scenario
async def delete_an_open_workflow(env: Env) -> None:
    async def gone() -> bool:
        try:
            await handle.describe()
            return False
        except RPCError:
            return True

    async with env.worker(Steps, activities=[add_one]):
        # Its history goes with it: nothing to compare.
        handle = await env.client.start_workflow(
            Steps.run, 1, id=env.id(), task_queue=env.task_queue
        )
        await env.idle(handle, 3)
        request = service_pb.DeleteWorkflowExecutionRequest(
            namespace=env.namespace, workflow_execution=env.execution(handle)
        )
        await env.service.delete_workflow_execution(request)
        await env.until("gone", gone)


@scenario
async def options_of_an_open_workflow(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 1)
        await env.idle(handle, 3)
        request = service_pb.UpdateWorkflowExecutionOptionsRequest(
            namespace=env.namespace,
            workflow_execution=env.execution(handle),
            workflow_execution_options=workflow_pb.WorkflowExecutionOptions(
                priority=common_pb.Priority(priority_key=2, fairness_key="tenant")
            ),
            update_mask=FieldMask(paths=["priority"]),
        )
        answer = await env.service.update_workflow_execution_options(request)
        assert answer.workflow_execution_options.priority.priority_key == 2
        assert (
            await env.describe(handle)
        ).workflow_execution_info.priority.fairness_key == "tenant"
        await handle.signal(Steps.hear, "word")
        await handle.result()


@scenario
async def pauses_are_off(env: Env) -> None:
    async with env.worker(Steps, activities=[add_one]):
        handle = await env.start(Steps.run, 1)
        await env.idle(handle, 3)
        request = service_pb.PauseWorkflowExecutionRequest(
            namespace=env.namespace, workflow_id=handle.id, reason="because"
        )
        await env.failure("pause", env.service.pause_workflow_execution(request))
        await handle.signal(Steps.hear, "word")
        await handle.result()
