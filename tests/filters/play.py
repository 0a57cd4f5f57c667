"""Makes the planned executions on one server, one call after another: whoever starts or closes first does so on every
server. Workers are played by hand, so that histories do not depend on an SDK's timing either."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from executions import DIVISION, IDLE_QUEUES, MORE_ATTRIBUTES, TYPES_OF_PREDEFINED, VALUES, Spec, after
from lists import ACTIVITIES, NAMESPACE, WORKFLOWS, Lists
from suite import server
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import (
    ActivityType,
    Payload,
    Payloads,
    RetryPolicy,
    SearchAttributes,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.enums.v1 import CommandType, IndexedValueType
from temporalio.api.failure.v1 import Failure
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as ws
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

ATTRIBUTE_TYPES = server.SEARCH_ATTRIBUTES | MORE_ATTRIBUTES | TYPES_OF_PREDEFINED
IDENTITY = "filters"
# Executions of every kind.
EVERYTHING = "TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL"
# A new attribute is known everywhere after this.
ATTRIBUTE_SECONDS = 15
# A workflow task or activity task is handed out, or an execution closes by itself, within this.
TASK_SECONDS = 30
# Temporal's lists show everything within this.
LIST_SECONDS = 30
PAUSE = 0.05


@dataclass
class Made:
    """An execution as lists have to show it in the end."""

    label: str
    status: str
    attributes: dict[str, Any]
    is_activity: bool = False


def payload(name: str, value: Any) -> Payload:
    metadata = {"encoding": b"json/plain", "type": ATTRIBUTE_TYPES[name].encode()}
    return Payload(metadata=metadata, data=json.dumps(value, ensure_ascii=False).encode())


def encoded(attributes: dict[str, Any]) -> SearchAttributes:
    return SearchAttributes(indexed_fields={name: payload(name, value) for name, value in attributes.items()})


def queue(name: str) -> TaskQueue:
    return TaskQueue(name=name, kind=1)


def command(kind: str, **attributes: Any) -> Command:
    """A command by its name in the API, without the prefix."""
    made = Command(command_type=CommandType.Value(f"COMMAND_TYPE_{kind.upper()}"))
    getattr(made, f"{kind}_command_attributes").SetInParent()
    for name, value in attributes.items():
        target = getattr(getattr(made, f"{kind}_command_attributes"), name)
        if hasattr(target, "CopyFrom"):
            target.CopyFrom(value)
        else:
            setattr(getattr(made, f"{kind}_command_attributes"), name, value)
    return made


COMPLETE = command("complete_workflow_execution")
FAIL = command("fail_workflow_execution", failure=Failure(message="as planned"))
CANCEL = command("cancel_workflow_execution")


def given(attributes: dict[str, Any]) -> dict[str, Any]:
    """Those that were given, without what servers add, and without empty lists."""
    return {name: value for name, value in attributes.items() if name in VALUES and name != DIVISION and value != []}


async def until(what: str, seconds: float, attempt: Any) -> Any:
    """What `attempt` gives once that is something; asks again and again until then."""
    clock = asyncio.get_running_loop().time
    given_up = clock() + seconds
    while True:
        found = await attempt()
        if found:
            return found
        if clock() > given_up:
            raise TimeoutError(f"{what} did not come about within {seconds} s")
        await asyncio.sleep(PAUSE)


class Player:
    """Plays client and workers on one server."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.service = client.workflow_service
        self.lists = Lists(client)
        # By run id.
        self.made: dict[str, Made] = {}
        self.runs: dict[str, int] = {}
        self.tasks: dict[str, ws.PollWorkflowTaskQueueResponse] = {}
        self.activity_tasks: dict[str, bytes] = {}
        # Labels of what lists did not show yet when they were last looked at.
        self.unlisted: list[str] = []

    async def play(self, groups: list[tuple[list[Spec], list[int]]]) -> None:
        await self.add_attributes()
        for specs, order in groups:
            runs = [await self.start(spec) for spec in specs]
            for index in order:
                spec, run_id = specs[index], runs[index]
                status, upsert = await getattr(self, spec.fate)(spec, run_id)
                self.made[run_id].status = status
                self.made[run_id].attributes = after(spec.attributes, upsert)
        try:
            await until("a list of everything", LIST_SECONDS, self.is_listed)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: still missing or otherwise than made: {', '.join(self.unlisted)}") from None

    async def is_listed(self) -> bool:
        """Whether lists show every execution as it is in the end."""
        rows = await self.lists.rows(WORKFLOWS, EVERYTHING)
        # The status of an activity is shown by their own lists alone.
        rows += await self.lists.rows(ACTIVITIES, "")
        found = {row.run_id: (row.status, given(row.attributes)) for row in rows}
        expected = {run_id: (made.status, given(made.attributes)) for run_id, made in self.made.items()}
        self.unlisted = [self.made[run_id].label for run_id, made in expected.items() if found.get(run_id) != made]
        return found == expected

    async def add_attributes(self) -> None:
        types = {name: f"INDEXED_VALUE_TYPE_{kind.upper()}" for name, kind in MORE_ATTRIBUTES.items()}
        await self.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=NAMESPACE,
                search_attributes={name: IndexedValueType.Value(kind) for name, kind in types.items()},
            )
        )

        async def known() -> bool:
            query = " AND ".join(f"`{name}` IS NULL" for name in [*server.SEARCH_ATTRIBUTES, *MORE_ATTRIBUTES])
            try:
                request = ws.CountWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
                await self.service.count_workflow_executions(request)
            except RPCError as error:
                if error.status != RPCStatusCode.INVALID_ARGUMENT:
                    raise
                return False
            return True

        await until("new search attributes", ATTRIBUTE_SECONDS, known)

    def note(self, execution_id: str, run_id: str, attributes: dict[str, Any], status: str = "RUNNING") -> None:
        self.runs[execution_id] = self.runs.get(execution_id, 0) + 1
        label = f"{execution_id}#{self.runs[execution_id]}"
        self.made[run_id] = Made(label, status, after(attributes, {}))

    async def start(self, spec: Spec) -> str:
        if spec.fate.startswith("activity"):
            return await self.start_activity(spec)
        request = ws.StartWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_id=spec.id,
            workflow_type=WorkflowType(name=spec.type),
            task_queue=queue(spec.queue),
            request_id=str(uuid.uuid4()),
            search_attributes=encoded(spec.attributes),
        )
        request.workflow_task_timeout.FromTimedelta(timedelta(minutes=1))
        if spec.timeout:
            request.workflow_run_timeout.FromTimedelta(timedelta(seconds=spec.timeout))
        if spec.fate.startswith("delayed"):
            request.workflow_start_delay.FromTimedelta(timedelta(hours=1))
        run_id = (await self.service.start_workflow_execution(request)).run_id
        self.note(spec.id, run_id, spec.attributes)
        return run_id

    async def start_activity(self, spec: Spec) -> str:
        request = ws.StartActivityExecutionRequest(
            namespace=NAMESPACE,
            activity_id=spec.id,
            activity_type=ActivityType(name=spec.type),
            task_queue=queue(spec.queue),
            request_id=str(uuid.uuid4()),
            search_attributes=encoded(spec.attributes),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        request.schedule_to_close_timeout.FromTimedelta(timedelta(seconds=spec.timeout or 3600))
        run_id = (await self.service.start_activity_execution(request)).run_id
        self.note(spec.id, run_id, spec.attributes)
        self.made[run_id].is_activity = True
        return run_id

    async def task(self, workflow_id: str, queue_name: str) -> ws.PollWorkflowTaskQueueResponse:
        """The workflow's next task. Those of others that come first are kept."""

        async def poll() -> bool:
            request = ws.PollWorkflowTaskQueueRequest(
                namespace=NAMESPACE, task_queue=queue(queue_name), identity=IDENTITY
            )
            task = await self.service.poll_workflow_task_queue(request, timeout=timedelta(seconds=TASK_SECONDS))
            if task.task_token:
                self.tasks[task.workflow_execution.workflow_id] = task
            return workflow_id in self.tasks

        if workflow_id not in self.tasks:
            await until(f"a task of {workflow_id}", TASK_SECONDS, poll)
        return self.tasks.pop(workflow_id)

    async def answer(self, workflow_id: str, queue_name: str, *commands: Command) -> None:
        task = await self.task(workflow_id, queue_name)
        await self.service.respond_workflow_task_completed(
            ws.RespondWorkflowTaskCompletedRequest(
                namespace=NAMESPACE, task_token=task.task_token, identity=IDENTITY, commands=commands
            )
        )

    # What becomes of an execution: its status and the changes to its attributes.

    async def idle(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        return "RUNNING", {}

    delayed = idle

    async def upserted(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.answer(spec.id, spec.queue, *upserts(spec.upsert))
        return "RUNNING", spec.upsert

    async def completed(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.answer(spec.id, spec.queue, *upserts(spec.upsert), COMPLETE)
        return "COMPLETED", spec.upsert

    async def failed(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.answer(spec.id, spec.queue, FAIL)
        return "FAILED", {}

    async def canceled(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        # The first task may have been handed out already: what comes meanwhile would spoil the answer.
        await self.answer(spec.id, spec.queue)
        execution = WorkflowExecution(workflow_id=spec.id, run_id=run_id)
        await self.service.request_cancel_workflow_execution(
            ws.RequestCancelWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=execution)
        )
        await self.answer(spec.id, spec.queue, CANCEL)
        return "CANCELED", {}

    async def terminated(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        execution = WorkflowExecution(workflow_id=spec.id, run_id=run_id)
        await self.service.terminate_workflow_execution(
            ws.TerminateWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=execution)
        )
        return "TERMINATED", {}

    delayed_terminated = terminated

    async def continued(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        """The next run has the changed attributes. Its first task comes a second later; nobody takes it."""
        attributes = after(spec.attributes, spec.upsert)
        next_run = command(
            "continue_as_new_workflow_execution",
            workflow_type=WorkflowType(name=spec.type),
            task_queue=queue(IDLE_QUEUES[0]),
            search_attributes=encoded(attributes),
        )
        await self.answer(spec.id, spec.queue, next_run)
        request = ws.DescribeWorkflowExecutionRequest(
            namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=spec.id)
        )
        info = (await self.service.describe_workflow_execution(request)).workflow_execution_info
        self.note(spec.id, info.execution.run_id, attributes)
        return "CONTINUED_AS_NEW", {}

    async def paused(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.service.pause_workflow_execution(
            ws.PauseWorkflowExecutionRequest(
                namespace=NAMESPACE,
                workflow_id=spec.id,
                run_id=run_id,
                reason="as planned",
                request_id=str(uuid.uuid4()),
            )
        )
        return "PAUSED", {}

    async def family(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        """A line of descendants; those that end do so from the youngest up, then the workflow itself."""
        line = [spec.id]
        for number, _ in enumerate(spec.children, start=1):
            child_id = f"{spec.id}/{number}"
            start = command(
                "start_child_workflow_execution",
                workflow_id=child_id,
                workflow_type=WorkflowType(name=spec.type),
                task_queue=queue(spec.queue),
                search_attributes=encoded(spec.attributes),
                parent_close_policy=2,
            )
            await self.answer(line[-1], spec.queue, start)
            task = await self.task(child_id, spec.queue)
            self.tasks[child_id] = task
            self.note(child_id, task.workflow_execution.run_id, spec.attributes)
            # That the child has started is told to the parent.
            await self.answer(line[-1], spec.queue)
            line.append(child_id)
        # Whether the one at hand has a task: that of its start, or of the end of its child.
        has_task = True
        for child_id, fate in reversed(list(zip(line[1:], spec.children, strict=True))):
            if fate == "idle":
                if has_task:
                    await self.answer(child_id, spec.queue)
                has_task = False
                continue
            await self.end(child_id, spec.queue, {"completed": COMPLETE, "failed": FAIL}[fate], has_task)
            run = next(run for run, made in self.made.items() if made.label == f"{child_id}#1")
            self.made[run].status = fate.upper()
            has_task = True
        await self.end(spec.id, spec.queue, COMPLETE, has_task)
        return "COMPLETED", {}

    async def end(self, workflow_id: str, queue_name: str, end: Command, has_task: bool) -> None:
        if not has_task:
            execution = WorkflowExecution(workflow_id=workflow_id)
            await self.service.signal_workflow_execution(
                ws.SignalWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=execution, signal_name="end")
            )
        await self.answer(workflow_id, queue_name, end)

    async def timed_out(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        execution = WorkflowExecution(workflow_id=spec.id, run_id=run_id)

        async def is_over() -> bool:
            request = ws.DescribeWorkflowExecutionRequest(namespace=NAMESPACE, execution=execution)
            found = await self.service.describe_workflow_execution(request)
            return found.workflow_execution_info.HasField("close_time")

        await until(f"the time-out of {spec.id}", TASK_SECONDS, is_over)
        return "TIMED_OUT", {}

    async def activity_idle(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        return "RUNNING", {}

    async def activity_task(self, spec: Spec) -> bytes:
        request = ws.PollActivityTaskQueueRequest(namespace=NAMESPACE, task_queue=queue(spec.queue), identity=IDENTITY)

        async def poll() -> bool:
            task = await self.service.poll_activity_task_queue(request, timeout=timedelta(seconds=TASK_SECONDS))
            if task.task_token:
                self.activity_tasks[task.activity_id] = task.task_token
            return spec.id in self.activity_tasks

        if spec.id not in self.activity_tasks:
            await until(f"a task of {spec.id}", TASK_SECONDS, poll)
        return self.activity_tasks.pop(spec.id)

    async def activity_completed(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        token = await self.activity_task(spec)
        await self.service.respond_activity_task_completed(
            ws.RespondActivityTaskCompletedRequest(namespace=NAMESPACE, task_token=token, result=Payloads())
        )
        return "COMPLETED", {}

    async def activity_failed(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        token = await self.activity_task(spec)
        failure = Failure(message="as planned", application_failure_info={"type": "Planned"})
        await self.service.respond_activity_task_failed(
            ws.RespondActivityTaskFailedRequest(namespace=NAMESPACE, task_token=token, failure=failure)
        )
        return "FAILED", {}

    async def activity_canceled(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        token = await self.activity_task(spec)
        await self.service.request_cancel_activity_execution(
            ws.RequestCancelActivityExecutionRequest(
                namespace=NAMESPACE, activity_id=spec.id, run_id=run_id, request_id=str(uuid.uuid4())
            )
        )
        await self.service.respond_activity_task_canceled(
            ws.RespondActivityTaskCanceledRequest(namespace=NAMESPACE, task_token=token)
        )
        return "CANCELED", {}

    async def activity_terminated(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.service.terminate_activity_execution(
            ws.TerminateActivityExecutionRequest(
                namespace=NAMESPACE, activity_id=spec.id, run_id=run_id, request_id=str(uuid.uuid4())
            )
        )
        return "TERMINATED", {}

    async def activity_paused(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        await self.service.pause_activity_execution(
            ws.PauseActivityExecutionRequest(
                namespace=NAMESPACE,
                activity_id=spec.id,
                run_id=run_id,
                reason="as planned",
                request_id=str(uuid.uuid4()),
            )
        )
        return "PAUSED", {}

    async def activity_timed_out(self, spec: Spec, run_id: str) -> tuple[str, dict[str, Any]]:
        async def is_over() -> bool:
            request = ws.DescribeActivityExecutionRequest(namespace=NAMESPACE, activity_id=spec.id, run_id=run_id)
            return (await self.service.describe_activity_execution(request)).info.HasField("close_time")

        await until(f"the time-out of {spec.id}", TASK_SECONDS, is_over)
        return "TIMED_OUT", {}


def upserts(changes: dict[str, Any]) -> list[Command]:
    """The command that changes attributes, if any is to be."""
    if not changes:
        return []
    return [command("upsert_workflow_search_attributes", search_attributes=encoded(changes))]
