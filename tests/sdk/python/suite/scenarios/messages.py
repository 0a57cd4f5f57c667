"""Signals and queries: before, during and after the run, buffered, refused and failing."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any, Sequence

import temporalio.api.workflowservice.v1 as service_pb
from temporalio import workflow
from temporalio.api.enums.v1 import EventType, HistoryEventFilterType
from temporalio.client import WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition, RawValue
from temporalio.exceptions import ApplicationError

from ..env import Env, thread_gates
from ..registry import scenario


@workflow.defn
class Mailbox:
    """Collects signals until `stop`; answers queries."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.stopped = False

    @workflow.signal
    async def put(self, value: Any) -> None:
        self.received.append(value)

    @workflow.signal
    def stop(self) -> None:
        self.stopped = True

    @workflow.query
    def contents(self) -> list[Any]:
        return self.received

    @workflow.query
    def scaled(self, factor: int, name: str) -> str:
        return f"{name} {len(self.received) * factor}"

    @workflow.query
    def broken(self) -> None:
        raise ApplicationError("query refuses", type="Refused")

    @workflow.run
    async def run(self, wanted: int = -1) -> list[Any]:
        await workflow.wait_condition(lambda: self.stopped or len(self.received) == wanted)
        return self.received


@workflow.defn
class BusyMailbox:
    """Holds its first workflow task until the scenario lets go, then waits for signals."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    @workflow.signal
    def put(self, value: Any) -> None:
        self.received.append(value)

    @workflow.query
    def contents(self) -> list[Any]:
        return self.received

    @workflow.run
    async def run(self, wanted: int) -> list[Any]:
        thread_gates[workflow.info().workflow_id].hold()
        # A command, so that the order of its event and of buffered signals shows.
        timer = asyncio.create_task(asyncio.sleep(3600))
        await workflow.wait_condition(lambda: len(self.received) >= wanted)
        timer.cancel()
        return self.received


@workflow.defn
class BusyReturner:
    """Completes in its first workflow task, unless a signal came meanwhile."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    @workflow.signal
    def put(self, value: Any) -> None:
        self.received.append(value)

    @workflow.run
    async def run(self) -> list[Any]:
        thread_gates[workflow.info().workflow_id].hold()
        return self.received


@workflow.defn
class AnySignal:
    """A dynamic handler takes what has no handler of its own."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    @workflow.signal(dynamic=True)
    def anything(self, name: str, args: Sequence[RawValue]) -> None:
        values = [workflow.payload_converter().from_payload(arg.payload) for arg in args]
        self.received.append([name, values])

    @workflow.query(dynamic=True)
    def ask(self, name: str, args: Sequence[RawValue]) -> str:
        return f"{name}: {len(args)}"

    @workflow.run
    async def run(self) -> list[Any]:
        await workflow.wait_condition(lambda: len(self.received) == 2)
        return self.received


@scenario
async def signals_while_running(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        await handle.signal(Mailbox.put, "one")
        await env.idle(handle, 2)
        await handle.signal(Mailbox.put, {"two": 2})
        await env.idle(handle, 3)
        await handle.signal(Mailbox.stop)
        assert await handle.result() == ["one", {"two": 2}]
        await env.failure("signal after close", handle.signal(Mailbox.put, "late"))


@scenario
async def signals_before_the_first_task(env: Env) -> None:
    handle = await env.start(Mailbox.run, 3)
    for value in range(3):
        await handle.signal(Mailbox.put, value)
    async with env.worker(Mailbox):
        assert await handle.result() == [0, 1, 2]


@scenario
async def signal_with_start(env: Env) -> None:
    handle = await env.start(Mailbox.run, start_signal="put", start_signal_args=["first"])
    again = await env.start(Mailbox.run, start_signal="put", start_signal_args=["second"])
    assert again.result_run_id == handle.result_run_id
    async with env.worker(Mailbox):
        await env.idle(handle)
        await handle.signal(Mailbox.stop)
        assert await handle.result() == ["first", "second"]
    fresh = await env.start(Mailbox.run, 1, start_signal="put", start_signal_args=["third"])
    assert fresh.result_run_id != handle.result_run_id
    async with env.worker(Mailbox):
        assert await fresh.result() == ["third"]


@scenario
async def signals_with_one_request_id_count_once(env: Env) -> None:
    handle = await env.start(Mailbox.run, 2)
    for value, request in ((b'"a"', "same"), (b'"a"', "same"), (b'"b"', "other")):
        signal = service_pb.SignalWorkflowExecutionRequest(
            namespace=env.namespace,
            workflow_execution=env.execution(handle),
            signal_name="put",
            identity="by-hand",
            request_id=f"{handle.id}-{request}",
        )
        signal.input.payloads.add(metadata={"encoding": b"json/plain"}, data=value)
        await env.service.signal_workflow_execution(signal)
    async with env.worker(Mailbox):
        assert await handle.result() == ["a", "b"]


@scenario
async def signals_during_a_workflow_task_are_buffered(env: Env) -> None:
    gate = env.thread_gate()
    async with env.worker(BusyMailbox):
        handle = await env.start(BusyMailbox.run, 2)
        await gate.entered.wait()
        await handle.signal(BusyMailbox.put, "a")
        await handle.signal(BusyMailbox.put, "b")
        gate.leave.set()
        assert await handle.result() == ["a", "b"]


@scenario
async def signal_makes_completion_unhandled(env: Env) -> None:
    gate = env.thread_gate()
    async with env.worker(BusyReturner):
        handle = await env.start(BusyReturner.run)
        await gate.entered.wait()
        await handle.signal(BusyReturner.put, "in time")
        gate.leave.set()
        assert await handle.result() == ["in time"]


@scenario
async def signals_without_a_handler(env: Env) -> None:
    async with env.worker(AnySignal, Mailbox):
        handle = await env.start(AnySignal.run, id=env.id("dynamic"))
        await env.idle(handle)
        await handle.signal("alpha", args=[1, "x"])
        await env.idle(handle, 2)
        assert await handle.query("which", args=[1, 2, 3]) == "which: 3"
        await handle.signal("beta")
        assert await handle.result() == [["alpha", [1, "x"]], ["beta", []]]
        plain = await env.start(Mailbox.run, id=env.id("unknown"))
        await env.idle(plain)
        await plain.signal("nobody listens", "x")
        await env.idle(plain, 2)
        await plain.signal(Mailbox.stop)
        assert await plain.result() == []


@scenario
async def messages_to_unknown_workflows(env: Env) -> None:
    absent = env.client.get_workflow_handle(env.id("absent"))
    await env.failure("signal", absent.signal("x"))
    await env.failure("query", absent.query("x"))
    await env.failure("describe", absent.describe())
    await env.failure("cancel", absent.cancel())
    await env.failure("terminate", absent.terminate())
    await env.failure("history", absent.fetch_history())
    await env.failure("result", absent.result())
    wrong_run = env.client.get_workflow_handle(env.id("absent"), run_id=str(uuid.UUID(int=7)))
    await env.failure("describe by run", wrong_run.describe())
    not_a_run = env.client.get_workflow_handle(env.id("absent"), run_id="no-uuid")
    await env.failure("describe by bad run", not_a_run.describe())
    unnamed = env.client.get_workflow_handle("")
    await env.failure("describe without id", unnamed.describe())


@scenario
async def messages_to_the_wrong_run(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        wrong = env.client.get_workflow_handle(handle.id, run_id=str(uuid.UUID(int=7)))
        await env.failure("signal", wrong.signal(Mailbox.stop))
        await env.failure("query", wrong.query("contents"))
        await env.failure("cancel", wrong.cancel())
        await env.failure("terminate", wrong.terminate())
        first = env.client.get_workflow_handle(
            handle.id, first_execution_run_id=str(uuid.UUID(int=7))
        )
        await env.failure("terminate first run", first.terminate())
        await handle.signal(Mailbox.stop)
        await handle.result()


@scenario
async def queries_while_running_and_closed(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        assert await handle.query(Mailbox.contents) == []
        await env.idle(handle)
        await handle.signal(Mailbox.put, 1)
        # The query must see a signal that was acknowledged before it was asked.
        assert await handle.query(Mailbox.contents) == [1]
        assert await handle.query(Mailbox.scaled, args=[5, "five"]) == "five 5"
        await env.idle(handle, 2)
        await handle.signal(Mailbox.stop)
        await handle.result()
        assert await handle.query(Mailbox.contents) == [1]
    async with env.worker(Mailbox):
        assert await handle.query(Mailbox.contents) == [1]


@scenario
async def queries_that_fail(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        await env.failure("failing handler", handle.query(Mailbox.broken))
        await env.failure("unknown query", handle.query("nobody answers"))
        # Its text is the SDK's own affair.
        assert isinstance(await handle.query("__stack_trace"), str)
        await handle.signal(Mailbox.stop)
        await handle.result()
        await env.failure("failing handler, closed", handle.query(Mailbox.broken))


@scenario
async def queries_without_cache_replay(env: Env) -> None:
    async with env.worker(Mailbox, max_cached_workflows=0):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        for value in range(3):
            await handle.signal(Mailbox.put, value)
            await env.idle(handle, value + 2)
            assert await handle.query(Mailbox.contents) == list(range(value + 1))
        await handle.signal(Mailbox.stop)
        assert await handle.result() == [0, 1, 2]


@scenario
async def query_rejected_by_condition(env: Env) -> None:
    async def ask(key: str, handle: Any, condition: QueryRejectCondition) -> None:
        try:
            answer = await handle.query(Mailbox.contents, reject_condition=condition)
            env.note(key, answer)
        except WorkflowQueryRejectedError as error:
            env.note(key, f"rejected: {error.status.name if error.status else None}")

    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        await ask("running, not open", handle, QueryRejectCondition.NOT_OPEN)
        await handle.signal(Mailbox.stop)
        await handle.result()
        await ask("completed, none", handle, QueryRejectCondition.NONE)
        await ask("completed, not open", handle, QueryRejectCondition.NOT_OPEN)
        await ask("completed, not clean", handle, QueryRejectCondition.NOT_COMPLETED_CLEANLY)
        ended = await env.start(Mailbox.run, id=env.id("terminated"))
        await env.idle(ended)
        await ended.terminate()
        await ask("terminated, not clean", ended, QueryRejectCondition.NOT_COMPLETED_CLEANLY)
        await ask("terminated, none", ended, QueryRejectCondition.NONE)


@scenario
async def query_waits_for_the_first_task(env: Env) -> None:
    handle = await env.start(Mailbox.run)
    asked = asyncio.create_task(handle.query(Mailbox.contents))
    await handle.signal(Mailbox.put, "early")
    async with env.worker(Mailbox):
        answer = await asked
        # Asked before the signal, answered by a task that may already hold it.
        assert answer in ([], ["early"])
        await env.idle(handle)
        await handle.signal(Mailbox.stop)
        assert await handle.result() == ["early"]


@scenario
async def query_without_a_worker(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(Mailbox.run)
        await env.idle(handle)
        await handle.signal(Mailbox.stop)
        await handle.result()
    error = None
    try:
        await handle.query(Mailbox.contents, rpc_timeout=timedelta(seconds=1))
    except Exception as caught:
        error = caught
    # Whether the server or the client gives up first is chance.
    assert error is not None


@scenario
async def query_during_a_workflow_task(env: Env) -> None:
    gate = env.thread_gate()
    async with env.worker(BusyMailbox):
        handle = await env.start(BusyMailbox.run, 1)
        await gate.entered.wait()
        asked = asyncio.create_task(handle.query(BusyMailbox.contents))
        gate.leave.set()
        assert await asked == []
        await env.idle(handle)
        await handle.signal(BusyMailbox.put, "x")
        assert await handle.result() == ["x"]


@scenario
async def signals_fill_several_pages_of_history(env: Env) -> None:
    """More events than a history page holds, read by the worker, forwards and backwards."""
    count = 300
    handle = await env.start(Mailbox.run, count)
    for value in range(count):
        await handle.signal(Mailbox.put, value)
    async with env.worker(Mailbox, max_cached_workflows=0):
        assert await handle.result() == list(range(count))
        assert await handle.query(Mailbox.contents) == list(range(count))
    pages: list[int] = []
    token, ids = b"", []
    while True:
        page = await env.service.get_workflow_execution_history(
            service_pb.GetWorkflowExecutionHistoryRequest(
                namespace=env.namespace,
                execution=env.execution(handle),
                maximum_page_size=100,
                next_page_token=token,
            )
        )
        pages.append(len(page.history.events))
        ids += [event.event_id for event in page.history.events]
        token = page.next_page_token
        if not token:
            break
    assert ids == list(range(1, count + 6)), ids
    env.note("pages", [size for size in pages if size])
    reverse, token = [], b""
    while True:
        back = await env.service.get_workflow_execution_history_reverse(
            service_pb.GetWorkflowExecutionHistoryReverseRequest(
                namespace=env.namespace,
                execution=env.execution(handle),
                maximum_page_size=100,
                next_page_token=token,
            )
        )
        reverse += [event.event_id for event in back.history.events]
        token = back.next_page_token
        if not token:
            break
    assert reverse == ids[::-1]
    closing = await env.service.get_workflow_execution_history(
        service_pb.GetWorkflowExecutionHistoryRequest(
            namespace=env.namespace,
            execution=env.execution(handle),
            history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        )
    )
    assert [event.event_type for event in closing.history.events] == [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    ]
