"""What Schemathesis must be told in Python. The rest stands in schemathesis.toml."""

import itertools
import os

import schemathesis
import urllib3.connection

PLACE = os.environ["FACTORY_TEST_PLACE"]


# The server counts failed credentials by address and says 429 to those who fail often, as the check of credentials must.
# Each connection therefore comes from an address of its own, all of this machine.
numbers = itertools.count(1)
plain_init = urllib3.connection.HTTPConnection.__init__


def init_with_an_address(self, *arguments, **options):
    number = next(numbers)
    options["source_address"] = (f"127.{number // 62500 % 250 + 1}.{number // 250 % 250}.{number % 250 + 1}", 0)
    plain_init(self, *arguments, **options)


urllib3.connection.HTTPConnection.__init__ = init_with_an_address


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets the server touch nothing but the test's own folder: what is registered as a project may be made a
    repository, and a made-up path may be `/`."""
    body = case.body
    if case.operation.path == "/projects" and isinstance(body, dict) and isinstance(body.get("local_path"), str):
        real = os.path.realpath(body["local_path"].replace("\0", ""))
        if os.path.exists(real) and not real.startswith(PLACE + os.sep):
            body["local_path"] = PLACE + "/nothing"
