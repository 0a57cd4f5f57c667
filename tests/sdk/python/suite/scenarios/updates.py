"""Updates: accepted, rejected, awaited, and what becomes of them when their workflow ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from ..env import Env
from ..registry import scenario


@activity.defn
async def double(number: int) -> int:
    return number * 2


@workflow.defn
class Account:
    """Takes deposits until it is told to close."""

    def __init__(self) -> None:
        self.total = 0
        self.closing = False
        self.open = 0

    @workflow.run
    async def run(self, linger: bool = True) -> int:
        await workflow.wait_condition(lambda: self.closing and (not linger or self.open == 0))
        return self.total

    @workflow.update
    async def deposit(self, amount: int) -> int:
        self.total += amount
        return self.total

    @deposit.validator
    def check_deposit(self, amount: int) -> None:
        if amount <= 0:
            raise ApplicationError("amounts are positive", type="BadAmount")

    @workflow.update
    async def deposit_twice(self, amount: int) -> int:
        self.open += 1
        self.total += await workflow.execute_activity(
            double, amount, start_to_close_timeout=timedelta(seconds=30)
        )
        self.open -= 1
        return self.total

    @workflow.update
    async def wait_for_close(self) -> int:
        self.open += 1
        await workflow.wait_condition(lambda: self.closing)
        self.open -= 1
        return self.total

    @workflow.update
    async def never(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def fail(self) -> None:
        raise ApplicationError("no", type="Refused", non_retryable=True)

    @workflow.signal
    def close(self) -> None:
        self.closing = True

    @workflow.query
    def balance(self) -> int:
        return self.total


@workflow.defn
class Relay:
    """Goes on in another run when it is told to, and takes one update there."""

    def __init__(self) -> None:
        self.told = False
        self.done = False

    @workflow.run
    async def run(self, runs_left: int) -> str:
        if runs_left:
            await workflow.wait_condition(lambda: self.told)
            workflow.continue_as_new(runs_left - 1)
        await workflow.wait_condition(lambda: self.done)
        return "end"

    @workflow.signal
    def go_on(self) -> None:
        self.told = True

    @workflow.update
    async def finish(self) -> str:
        self.done = True
        return "finished"


@scenario
async def update_accepted_and_answered(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        assert await handle.execute_update(Account.deposit, 5, id="one") == 5
        assert await handle.execute_update(Account.deposit, 6, id="two") == 11
        # The same update again is the same update.
        assert await handle.execute_update(Account.deposit, 5, id="one") == 5
        await handle.signal(Account.close)
        assert await handle.result() == 11
        assert await handle.execute_update(Account.deposit, 6, id="two") == 11
        await env.failure("late", handle.execute_update(Account.deposit, 1, id="late"))


@scenario
async def update_rejected(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        for number in range(3):
            call = handle.execute_update(Account.deposit, -1, id=f"bad {number}")
            await env.failure(f"rejected {number}", call)
        assert await handle.execute_update(Account.deposit, 1, id="good") == 1
        await handle.signal(Account.close)
        assert await handle.result() == 1


@scenario
async def update_fails(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        await env.failure("failed", handle.execute_update(Account.fail, id="fail"))
        await handle.signal(Account.close)
        assert await handle.result() == 0


@scenario
async def update_with_an_activity(env: Env) -> None:
    async with env.worker(Account, activities=[double]):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        update = await handle.start_update(
            Account.deposit_twice, 4, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id="twice"
        )
        assert await update.result() == 8
        assert await handle.get_update_handle("twice").result() == 8
        assert await handle.query(Account.balance) == 8
        await handle.signal(Account.close)
        assert await handle.result() == 8


@scenario
async def update_answered_as_the_workflow_closes(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        update = await handle.start_update(
            Account.wait_for_close, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id="wait"
        )
        await env.idle(handle, 2)
        await handle.signal(Account.close)
        assert await update.result() == 0
        assert await handle.result() == 0


@scenario
async def update_abandoned_by_its_workflow(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run, False)
        await env.idle(handle, 1)
        update = await handle.start_update(
            Account.never, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id="never"
        )
        await env.idle(handle, 2)
        await handle.signal(Account.close)
        await handle.result()
        await env.failure("abandoned", update.result())


@scenario
async def update_of_a_terminated_workflow(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        update = await handle.start_update(
            Account.never, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id="never"
        )
        await env.idle(handle, 2)
        await handle.terminate("enough")
        await env.failure("abandoned", update.result())


@scenario
async def update_without_a_worker_waits_for_one(env: Env) -> None:
    handle = await env.start(Account.run)
    call = asyncio.create_task(handle.execute_update(Account.deposit, 5, id="early"))
    async with env.worker(Account):
        assert await call == 5
        await handle.signal(Account.close)
        assert await handle.result() == 5


@scenario
async def update_after_continue_as_new(env: Env) -> None:
    async with env.worker(Relay):
        handle = await env.start(Relay.run, 1)
        await env.idle(handle, 1)
        await handle.signal(Relay.go_on)
        await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)
        current = env.client.get_workflow_handle(handle.id)
        env.record(handle.id, (await current.describe()).run_id)
        assert await current.execute_update(Relay.finish, id="finish") == "finished"
        assert await current.result() == "end"


@scenario
async def update_of_an_unknown_kind(env: Env) -> None:
    async with env.worker(Account):
        handle = await env.start(Account.run)
        await env.idle(handle, 1)
        await env.failure("unknown", handle.execute_update("no such update", id="unknown"))
        await handle.signal(Account.close)
        await handle.result()


def with_start(env: Env, policy: WorkflowIDConflictPolicy) -> WithStartWorkflowOperation:
    return WithStartWorkflowOperation(
        Account.run,
        id=env.id(),
        task_queue=env.task_queue,
        task_timeout=timedelta(seconds=30),
        id_conflict_policy=policy,
    )


@scenario
async def update_with_start(env: Env) -> None:
    async with env.worker(Account):
        first = with_start(env, WorkflowIDConflictPolicy.USE_EXISTING)
        call = env.client.execute_update_with_start_workflow(
            Account.deposit, 5, start_workflow_operation=first, id="one"
        )
        assert await call == 5
        handle = await first.workflow_handle()
        env.record(handle.id, handle.result_run_id)
        second = with_start(env, WorkflowIDConflictPolicy.USE_EXISTING)
        call = env.client.execute_update_with_start_workflow(
            Account.deposit, 6, start_workflow_operation=second, id="two"
        )
        assert await call == 11
        assert (await second.workflow_handle()).result_run_id == handle.result_run_id
        third = with_start(env, WorkflowIDConflictPolicy.FAIL)
        call = env.client.execute_update_with_start_workflow(
            Account.deposit, 7, start_workflow_operation=third, id="three"
        )
        await env.failure("in the way", call)
        await handle.signal(Account.close)
        assert await handle.result() == 11
