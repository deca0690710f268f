"""The other side of every provider, in processes of its own, so that its CPU is not counted.

HTTP and SMTP are our sandboxes', SES is moto's; the settings that lead there lie in moto's parameter store.
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

__all__ = ["DOMAIN", "sandboxes"]

DOMAIN = "example.com"  # whose mail it is: verified at SES
REGION = "eu-west-1"


@contextmanager
def sandboxes() -> Iterator[Settings]:
    """Run all of them; give the settings that `deliver` would read."""
    os.environ |= {**CREDENTIALS, "AWS_REGION": REGION}
    children = Children()
    with closing(children), _ours() as known:
        server = moto.Aws(children, REGION, Logs(None))
        server.wait()
        server.client("sesv2").create_email_identity(EmailIdentity=DOMAIN)
        for name, values in {**known, "ses": {"region": REGION, "endpoint": server.endpoint}}.items():
            for key, value in values.items():
                parameter = f"/mailroom/development/providers/{name}/{key}"
                server.client("ssm").put_parameter(Name=parameter, Value=value, Type="SecureString")
        with closing(Aws(REGION, server.endpoint)) as aws:
            yield Settings(aws, "development")


@contextmanager
def _ours() -> Iterator[Mapping[str, Mapping[str, str]]]:
    command = [sys.executable, "-m", "bench.sandboxes"]
    # Leaving the block closes its standard input, and so ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline()) if process.stdout else {}


def serve() -> None:
    """Print where each provider is found, and serve until standard input ends."""
    with Sandbox() as web, SmtpSandbox() as relay:
        print(json.dumps({name: web.settings(name) for name in web.stubs} | {"smtp": relay.settings()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve()
