"""What Schemathesis must be told in Python. The rest stands in schemathesis.toml."""

import os

import schemathesis
from schemathesis.specs.openapi.checks import ensure_resource_availability

PLACE = os.environ["FACTORY_TEST_PLACE"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets the server touch nothing but the test's own folder: what is registered as a project may be made a
    repository, and a made-up path may be `/`."""
    body = case.body
    if case.operation.path == "/projects" and isinstance(body, dict) and isinstance(body.get("local_path"), str):
        real = os.path.realpath(body["local_path"].replace("\0", ""))
        if os.path.exists(real) and not real.startswith(PLACE + os.sep):
            body["local_path"] = PLACE + "/nothing"


@schemathesis.check
def what_was_created_is_there(ctx, response, case):
    """Checks it where it was created by the answer before. What an `Idempotency-Key` is answered again was created with the
    first answer, and may have been deleted since."""
    parent = ctx.internals.find_parent(case_id=case.id)
    created = ctx.internals.find_response(case_id=parent.id) if parent else None
    if created is not None and "idempotency-replayed" in created.headers:
        return None
    return ensure_resource_availability(ctx, response, case)
