"""What a program in Python does with a client that is made from the document. Run by the test on a live server."""

import os
import time
from typing import TypeVar

from factory_client import AuthenticatedClient
from factory_client.api.projects import list_projects
from factory_client.api.review import list_run_changes
from factory_client.api.runs import create_run, get_run, pause_run, resume_run, set_run_budget, stop_run
from factory_client.api.events import list_run_events
from factory_client.models import (
    ApprovalPolicy,
    Bounds,
    BudgetLimitType1,
    CheckFinishedEvent,
    NewRun,
    PlanGeneratedEvent,
    Problem,
    Protocol,
    RunCreatedEvent,
    RunStatus,
)

T = TypeVar("T")
client = AuthenticatedClient(base_url=os.environ["FACTORY_URL"], token=os.environ["FACTORY_TOKEN"])


def asked(answer: T | Problem | None) -> T:
    """Returns what was asked for, or raises the problem."""
    if answer is None or isinstance(answer, Problem):
        raise RuntimeError(answer.detail if answer else "no answer")
    return answer


def events(run_id: int) -> list[object]:
    """Returns every event of a run, page by page."""
    found: list[object] = []
    after = 0
    while True:
        page = asked(list_run_events.sync(run_id, client=client, after=after, limit=5))
        found.extend(page.items)
        if page.next_cursor is None:
            return found
        after = int(page.next_cursor)


def told(event: object) -> str | None:
    """Says what an event tells, for which its class is enough."""
    match event:
        case RunCreatedEvent():
            return f"goal {event.payload.goal}"
        case PlanGeneratedEvent():
            return f"plan {event.payload.plan.steps[0].title}"
        case CheckFinishedEvent():
            return f"green {event.payload.green}"
    return None


project = next(project for project in asked(list_projects.sync(client=client)).items if project.name == "sample")
new = NewRun(
    project_id=project.id,
    goal="Do it.",
    model=os.environ["FACTORY_MODEL"],
    approval=ApprovalPolicy.UNATTENDED,
    protocol=Protocol.NATIVE,
)
done = asked(create_run.sync(client=client, body=new, idempotency_key="python-1"))
status = done.status
while status != RunStatus.COMPLETE:
    assert status in (RunStatus.QUEUED, RunStatus.RUNNING), status
    time.sleep(0.05)
    status = asked(get_run.sync(done.id, client=client)).status
assert [said for said in map(told, events(done.id)) if said] == ["goal Do it.", "plan do it", "green True"]
changes = asked(list_run_changes.sync(done.id, client=client))
assert [file.path for file in changes.items] == ["done.txt"]

run = asked(create_run.sync(client=client, body=NewRun(project_id=project.id, goal="Wait.")))
assert asked(pause_run.sync(run.id, client=client)).status == RunStatus.PAUSED
assert asked(resume_run.sync(run.id, client=client)).status in (RunStatus.QUEUED, RunStatus.RUNNING)
bounds = Bounds(calls=BudgetLimitType1(at_most=7))
assert asked(set_run_budget.sync(run.id, client=client, body=bounds)).budget.calls == bounds.calls
assert asked(stop_run.sync(run.id, client=client)).status == RunStatus.STOPPED
refused = pause_run.sync_detailed(run.id, client=client)
assert refused.status_code == 409 and isinstance(refused.parsed, Problem) and refused.parsed.code == "not_allowed"
print("all of it works")
