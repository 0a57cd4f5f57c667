"""What the normaliser hides and what it keeps."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from temporalio.api.enums.v1 import EventType  # noqa: E402
from temporalio.api.history.v1 import HistoryEvent  # noqa: E402

from normalise import Normaliser  # noqa: E402

RUN = "0190a2b4-0000-7000-8000-000000000001"


def started(run_id: str, task_id: int, **changes) -> HistoryEvent:
    event = HistoryEvent(
        event_id=1, task_id=task_id, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    )
    event.event_time.GetCurrentTime()
    attributes = event.workflow_execution_started_event_attributes
    attributes.original_execution_run_id = run_id
    attributes.first_execution_run_id = run_id
    attributes.input.payloads.add(metadata={"encoding": b"json/plain"}, data=b'{"a": 1}')
    for name, value in changes.items():
        setattr(attributes, name, value)
    return event


def test_chance_is_hidden_and_the_rest_is_kept():
    left = Normaliser("sdk-1").history([started(RUN, 7, workflow_id="sdk-1.x")])
    right = Normaliser("sdk-2").history([started(RUN[:-1] + "2", 9, workflow_id="sdk-2.x")])
    assert left == right
    assert left[0]["original_execution_run_id"] == left[0]["first_execution_run_id"] == "<run 1>"
    assert left[0]["input"]["payloads"][0]["payload"] == {"a": 1}


def test_differences_show():
    same = Normaliser("sdk-1").history([started(RUN, 7)])
    assert same != Normaliser("sdk-1").history([started(RUN, 7, attempt=2)])
    assert same != Normaliser("sdk-1").history([started(RUN, 0)]), "an absent task id shows"
    two_runs = started(RUN, 7, first_execution_run_id=RUN[:-1] + "2")
    assert same != Normaliser("sdk-1").history([two_runs])


def test_only_waits_that_depend_on_the_clock_are_hidden():
    def backoff(nanos: int, **changes):
        event = started(RUN, 7, **changes)
        event.workflow_execution_started_event_attributes.first_workflow_task_backoff.nanos = nanos
        return Normaliser("sdk-1").history([event])

    assert backoff(1) != backoff(2)
    assert backoff(1, cron_schedule="@every 1s") == backoff(2, cron_schedule="@every 1s")
    assert backoff(1, continued_execution_run_id=RUN) == backoff(2, continued_execution_run_id=RUN)
