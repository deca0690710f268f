"""Stubs of all providers, in separate processes, so that their CPU is not measured.

HTTP and SMTP are our sandboxes, SES is moto; moto's parameter store has the settings with their addresses.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from mailroom.aws.client import Aws
from mailroom.settings import Settings
from mailroom_ops.environment import CREDENTIALS
from mailroom_ops.local import aws_server as moto
from mailroom_ops.local.children import Children
from mailroom_ops.local.logs import Logs
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.smtp import SmtpSandbox

__all__ = ["DOMAIN", "http_and_smtp", "sandboxes"]

DOMAIN = "example.com"  # of the sender: verified at SES
REGION = "eu-west-1"


@contextmanager
def sandboxes() -> Iterator[Settings]:
    """Run all stubs; yield the settings that `deliver` would read."""
    os.environ |= {**CREDENTIALS, "AWS_REGION": REGION}
    children = Children()
    with closing(children), http_and_smtp() as values_by_provider:
        server = moto.Aws(children, REGION, Logs(None))
        server.wait()
        server.client("sesv2").create_email_identity(EmailIdentity=DOMAIN)
        for name, values in {**values_by_provider, "ses": {"region": REGION, "endpoint": server.endpoint}}.items():
            for key, value in values.items():
                parameter = f"/mailroom/development/providers/{name}/{key}"
                server.client("ssm").put_parameter(Name=parameter, Value=value, Type="SecureString")
        with closing(Aws(REGION, server.endpoint)) as aws:
            yield Settings(aws, "development")


@contextmanager
def http_and_smtp() -> Iterator[Mapping[str, Mapping[str, str]]]:
    """Run the stubs of all providers but SES; yield their settings."""
    command = [sys.executable, "-m", "bench.sandboxes"]
    # Leaving the block closes its standard input, and so ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline()) if process.stdout else {}


def serve() -> None:
    """Print the address of each provider, and serve until standard input ends."""
    with Sandbox() as web, SmtpSandbox() as relay:
        print(json.dumps({name: web.settings(name) for name in web.stubs} | {"smtp": relay.settings()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve()
