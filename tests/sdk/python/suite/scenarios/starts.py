"""Starting workflows: ids and policies, deduplication, eager start, and what a start carries."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping

import temporalio.api.workflowservice.v1 as service_pb
from google.protobuf.json_format import MessageToDict
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, Interceptor, OutboundInterceptor
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from ..calls import echo
from ..env import Env
from ..registry import provokes_task_timeout, scenario
from .messages import Mailbox

TEXT = SearchAttributeKey.for_text("SuiteText")
KEYWORD = SearchAttributeKey.for_keyword("SuiteKeyword")
INT = SearchAttributeKey.for_int("SuiteInt")
DOUBLE = SearchAttributeKey.for_float("SuiteDouble")
BOOL = SearchAttributeKey.for_bool("SuiteBool")
DATETIME = SearchAttributeKey.for_datetime("SuiteDatetime")
KEYWORDS = SearchAttributeKey.for_keyword_list("SuiteKeywordList")
ALL_ATTRIBUTES = TypedSearchAttributes(
    [
        SearchAttributePair(TEXT, "some text"),
        SearchAttributePair(KEYWORD, "word"),
        SearchAttributePair(INT, 42),
        SearchAttributePair(DOUBLE, 1.5),
        SearchAttributePair(BOOL, True),
        SearchAttributePair(DATETIME, datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        SearchAttributePair(KEYWORDS, ["a", "b"]),
    ]
)


@workflow.defn
class Quick:
    """Returns, or fails if told."""

    @workflow.run
    async def run(self, fail: bool = False) -> str:
        if fail:
            raise ApplicationError("told to fail")
        return "quick"


@workflow.defn
class Upserts:
    """Changes its search attributes and memo between two signals."""

    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def finish(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> dict[str, Any]:
        workflow.upsert_search_attributes([KEYWORD.value_set("new"), INT.value_set(7)])
        workflow.upsert_search_attributes([TEXT.value_unset()])
        workflow.upsert_memo({"added": [1, 2], "removed": None})
        await workflow.wait_condition(lambda: self.told)
        return {
            "memo": dict(workflow.memo()),
            "attributes": sorted(pair.key.name for pair in workflow.info().typed_search_attributes),
        }


@workflow.defn
class Summaries:
    """Puts a summary on everything that takes one."""

    @workflow.run
    async def run(self) -> str:
        workflow.set_current_details("**under way**")
        await workflow.sleep(0.05, summary="a short timer")
        return await workflow.execute_activity(
            echo, "x", start_to_close_timeout=timedelta(seconds=30),
            summary="an activity", priority=Priority(priority_key=1),
        )  # fmt: skip


@scenario
async def start_and_describe(env: Env) -> None:
    async with env.worker(Mailbox):
        handle = await env.start(
            Mailbox.run, memo={"m": {"deep": [1, None]}}, search_attributes=ALL_ATTRIBUTES,
            execution_timeout=timedelta(hours=3), run_timeout=timedelta(hours=2),
            task_timeout=timedelta(seconds=9), static_summary="summary", static_details="details",
            priority=Priority(priority_key=2, fairness_key="tenant", fairness_weight=1.5),
        )  # fmt: skip
        await env.idle(handle)
        env.note("running", await describe(env, handle))
        await handle.signal(Mailbox.stop)
        await handle.result()
        env.note("closed", await describe(env, handle))


async def describe(env: Env, handle: Any) -> dict[str, Any]:
    found = await handle.describe()
    raw = found.raw_description
    info = raw.workflow_execution_info
    return {
        "type": info.type.name,
        "status": found.status.name,
        "history_length": found.history_length,
        "task_queue": info.task_queue,
        "memo": await found.memo(),
        "attributes": {pair.key.name: str(pair.value) for pair in sorted(
            found.typed_search_attributes, key=lambda pair: pair.key.name
        ) if pair.key.name.startswith("Suite")},
        "summary": await found.static_summary(),
        "details": await found.static_details(),
        "run_timeout": str(raw.execution_config.workflow_run_timeout.ToTimedelta()),
        "execution_timeout": str(raw.execution_config.workflow_execution_timeout.ToTimedelta()),
        "task_timeout": str(raw.execution_config.default_workflow_task_timeout.ToTimedelta()),
        "config_task_queue": raw.execution_config.task_queue.name,
        "priority": MessageToDict(info.priority),
        "root_is_itself": info.root_execution.run_id == info.execution.run_id,
        "first_run_is_itself": info.first_run_id == info.execution.run_id,
        "has": sorted(field.name for field, _ in info.ListFields()),
        "pending_workflow_task": raw.HasField("pending_workflow_task"),
    }  # fmt: skip


@scenario
async def search_attributes_and_memo_change(env: Env) -> None:
    async with env.worker(Upserts):
        handle = await env.start(
            Upserts.run, memo={"kept": 1, "removed": 2}, search_attributes=ALL_ATTRIBUTES
        )
        await env.idle(handle)
        env.note("running", await describe(env, handle))
        await handle.signal(Upserts.finish)
        env.note("result", await handle.result())


@scenario
async def unknown_search_attribute_is_refused(env: Env) -> None:
    unknown = TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword("NotRegistered"), "x")]
    )
    await env.failure("unknown", env.start(Quick.run, search_attributes=unknown))
    mistyped = TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword("SuiteInt"), "not a number")]
    )
    await env.failure("wrong type", env.start(Quick.run, search_attributes=mistyped))


@scenario
async def start_with_bad_arguments(env: Env) -> None:
    async def start(key: str, **changes: Any) -> None:
        given = {"id": env.id(), "task_queue": env.task_queue, **changes}
        await env.failure(key, env.client.start_workflow(changes.pop("workflow", "Quick"), **given))

    await start("empty id", id="")
    await start("long id", id="x" * 1001)
    await start("empty task queue", task_queue="")
    await start("reserved task queue", task_queue="/_sys/x")
    await start("bad cron", cron_schedule="not cron")
    await start("cron with delay", cron_schedule="* * * * *", start_delay=timedelta(seconds=1))
    await start("reuse and conflict", id_reuse_policy=WorkflowIDReusePolicy.TERMINATE_IF_RUNNING,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL)  # fmt: skip
    negative = raw_start(env, "negative")
    negative.priority.priority_key = -1
    await env.failure("negative priority", env.service.start_workflow_execution(negative))
    nameless = raw_start(env, "nameless")
    nameless.workflow_type.name = ""
    await env.failure("no workflow type", env.service.start_workflow_execution(nameless))
    backwards = raw_start(env, "backwards", workflow_run_timeout=timedelta(seconds=-1))
    await env.failure("negative timeout", env.service.start_workflow_execution(backwards))
    elsewhere = Client(env.client.service_client, namespace="no-such-namespace")
    await env.failure(
        "namespace", elsewhere.start_workflow("Quick", id="x", task_queue=env.task_queue)
    )


@scenario
async def start_while_running(env: Env) -> None:
    conflict = WorkflowIDConflictPolicy
    first = await env.start(Mailbox.run)
    await env.failure("default", env.start(Mailbox.run))
    await env.failure("fail", env.start(Mailbox.run, id_conflict_policy=conflict.FAIL))
    same = await env.start(Mailbox.run, id_conflict_policy=conflict.USE_EXISTING)
    assert same.result_run_id == first.result_run_id
    second = await env.start(Mailbox.run, id_conflict_policy=conflict.TERMINATE_EXISTING)
    assert second.result_run_id != first.result_run_id
    third = await env.start(Mailbox.run, id_reuse_policy=WorkflowIDReusePolicy.TERMINATE_IF_RUNNING)
    assert third.result_run_id != second.result_run_id
    fourth = await env.start(
        Mailbox.run, start_signal="put", start_signal_args=[1],
        id_conflict_policy=conflict.TERMINATE_EXISTING,
    )  # fmt: skip
    assert fourth.result_run_id != third.result_run_id
    await fourth.terminate()


@scenario
async def start_after_closing(env: Env) -> None:
    reuse = WorkflowIDReusePolicy
    async with env.worker(Quick):
        await env.execute(Quick.run)
        await env.failure(
            "completed, reject", env.start(Quick.run, id_reuse_policy=reuse.REJECT_DUPLICATE)
        )
        await env.failure(
            "completed, failed only",
            env.start(Quick.run, id_reuse_policy=reuse.ALLOW_DUPLICATE_FAILED_ONLY),
        )
        failed = await env.start(Quick.run, True, id_reuse_policy=reuse.ALLOW_DUPLICATE)
        await env.failure("result", failed.result())
        await env.failure(
            "failed, reject", env.start(Quick.run, id_reuse_policy=reuse.REJECT_DUPLICATE)
        )
        assert (
            await env.execute(Quick.run, id_reuse_policy=reuse.ALLOW_DUPLICATE_FAILED_ONLY)
            == "quick"
        )
        rejected = env.start(Quick.run, start_signal="x", id_reuse_policy=reuse.REJECT_DUPLICATE)
        await env.failure("signal with start, reject", rejected)


def raw_start(env: Env, request: str, **changes: Any) -> Any:
    start = service_pb.StartWorkflowExecutionRequest(
        namespace=env.namespace, workflow_id=env.id(), identity="by-hand",
        request_id=f"{env.id()}-{request}", **changes,
    )  # fmt: skip
    start.workflow_type.name = "Quick"
    start.task_queue.name = env.task_queue
    return start


@scenario
async def starts_with_one_request_id_are_one(env: Env) -> None:
    first = await env.service.start_workflow_execution(raw_start(env, "a"))
    again = await env.service.start_workflow_execution(raw_start(env, "a"))
    assert first.run_id == again.run_id
    env.note("started", [first.started, again.started])
    await env.failure("other request id", env.service.start_workflow_execution(raw_start(env, "b")))
    env.record(env.id(), first.run_id)
    async with env.worker(Quick):
        assert await env.client.get_workflow_handle(env.id()).result() == "quick"
    late = await env.service.start_workflow_execution(raw_start(env, "a"))
    assert late.run_id == first.run_id, "a closed workflow still knows its request"
    env.note("started late", late.started)


@scenario
async def eager_start(env: Env) -> None:
    async with env.worker(Quick):
        assert await env.execute(Quick.run, request_eager_start=True) == "quick"


@scenario
@provokes_task_timeout
async def eager_start_without_a_worker(env: Env) -> None:
    """The server hands the first task out with the answer; nobody runs it, so it times out."""
    answer = await env.service.start_workflow_execution(
        raw_start(
            env, "eager", request_eager_execution=True, workflow_task_timeout=timedelta(seconds=2)
        )
    )
    task = answer.eager_workflow_task
    env.note("task", {
        "token": bool(task.task_token), "type": task.workflow_type.name, "attempt": task.attempt,
        "events": [event.event_type for event in task.history.events],
    })  # fmt: skip
    env.record(env.id(), answer.run_id)
    async with env.worker(Quick):
        assert await env.client.get_workflow_handle(env.id()).result() == "quick"


@scenario
async def summaries_and_priority(env: Env) -> None:
    async with env.worker(Summaries, activities=[echo]):
        handle = await env.start(
            Summaries.run, static_summary="top", static_details="below",
            priority=Priority(priority_key=4, fairness_key="f"),
        )  # fmt: skip
        assert await handle.result() == "x"
        assert "under way" in str(await handle.query("__temporal_workflow_metadata"))


HEADER = "suite-trace"


def with_header(headers: Mapping[str, Payload], value: str) -> dict[str, Payload]:
    return {**headers, HEADER: Payload(metadata={"encoding": b"json/plain"}, data=value.encode())}


class SendHeaders(Interceptor):
    """Adds a header to what the client sends."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            async def start_workflow(self, input: Any) -> Any:
                input.headers = with_header(input.headers, '"start"')
                return await super().start_workflow(input)

            async def signal_workflow(self, input: Any) -> Any:
                input.headers = with_header(input.headers, '"signal"')
                return await super().signal_workflow(input)

            async def query_workflow(self, input: Any) -> Any:
                input.headers = with_header(input.headers, '"query"')
                return await super().query_workflow(input)

        return Outbound(next)


class PassHeaders(WorkerInterceptor):
    """Collects headers that arrive in a workflow and sends one to its activities."""

    def workflow_interceptor_class(self, input: Any) -> Any:
        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: Any) -> Any:
                input.headers = with_header(input.headers, '"activity"')
                return super().start_activity(input)

            def continue_as_new(self, input: Any) -> Any:
                input.headers = with_header(input.headers, '"continued"')
                return super().continue_as_new(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

            async def handle_signal(self, input: Any) -> None:
                workflow.instance().seen.append(input.headers[HEADER].data.decode())
                await super().handle_signal(input)

            async def handle_query(self, input: Any) -> Any:
                return input.headers[HEADER].data.decode()

        return Inbound


@activity.defn
async def own_header() -> str:
    header = activity_headers[activity.info().workflow_id][HEADER]
    return activity.payload_converter().from_payload(header)


# An activity sees its headers through an interceptor only.
activity_headers: dict[str, Mapping[str, Payload]] = {}


class KeepActivityHeaders(PassHeaders):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: Any) -> Any:
                activity_headers[activity.info().workflow_id] = input.headers
                return await super().execute_activity(input)

        return Inbound(next)


@workflow.defn
class Headers:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.told = False

    @workflow.signal
    def finish(self) -> None:
        self.told = True

    @workflow.query
    def ask(self) -> str:
        return "the interceptor answers"

    @workflow.run
    async def run(self, again: bool) -> list[str]:
        self.seen.append(workflow.info().headers[HEADER].data.decode())
        if again:
            workflow.continue_as_new(False)
        await workflow.wait_condition(lambda: self.told)
        self.seen.append(
            await workflow.execute_activity(
                own_header, start_to_close_timeout=timedelta(seconds=30)
            )
        )
        return self.seen


@scenario
async def headers_travel(env: Env) -> None:
    env.client = Client(env.client.service_client, interceptors=[SendHeaders()])
    async with env.worker(Headers, activities=[own_header], interceptors=[KeepActivityHeaders()]):
        handle = await env.start(Headers.run, True)
        current = env.client.get_workflow_handle(handle.id)
        assert await current.query("ask") == '"query"'
        await env.event(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)
        latest = await current.describe()
        await env.idle(env.client.get_workflow_handle(handle.id, run_id=latest.run_id))
        await current.signal(Headers.finish)
        assert await handle.result() == ['"continued"', '"signal"', "activity"]


@scenario
async def starts_side_by_side_are_one_winner(env: Env) -> None:
    results = await asyncio.gather(
        *(env.start(Mailbox.run) for _ in range(10)), return_exceptions=True
    )
    winners = [result for result in results if not isinstance(result, BaseException)]
    assert len(winners) == 1, results
    await winners[0].terminate()
