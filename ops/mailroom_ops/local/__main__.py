"""Run the local stack: `make run`, or `python -m mailroom_ops.local`."""

import argparse
import errno
import os
import resource
import shlex
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailroom_ops.local.stack import Stack

ROOT = Path(__file__).parents[3]
COMMAND = ROOT / ".venv" / "bin" / "mailroom"
REQUIRED_PACKAGES = (
    "aiosmtpd",
    "boto3",
    "moto",
    "flask",
    "yaml",
    "pydantic",
    "httpx",
    "minijinja",
    "aws_lambda_powertools",
)
OPEN_FILES = 4096
EPILOGUE = """\
a running stack:
  make -s run ARGS=--env                    print its addresses and keys as `export` lines: eval "$(...)"

environment:
  PORT=3000                 the port of the console and all routes; 0 takes any free port
  MAILROOM_PROVIDER=resend  the provider, each with a local sandbox: resend, ses, smtp, sendgrid, mailgun, postmark,
                            aliyun, http, a chain such as "resend, ses", or none

at http://127.0.0.1:PORT
  /                                         the inbox, updated live, and buttons that send samples
  /console/deliveries                       the delivery status of each email, updated live
  /docs                                     the API of send, with a command for each kind of email
  /gallery                                  every kind of email in every language and brand, live from the templates
  /faults                                   make a provider fail; `mailroom sandbox fail` does the same
  /webhooks/logto, /webhooks/logto/acme     webhooks for Logto (Authorization: Bearer local-logto-token)
  /webhooks/{source}                        webhooks for other auth servers; `mailroom sources` prints a request of each
  /v1/emails                                the API of send (Authorization: Bearer local-api-key)
  /feedback/{provider}                      the other routes of template.yaml
  /inbox.json                               GET the captured emails, DELETE to empty the inbox
  /2015-03-31/functions/{name}/invocations  Lambda's Invoke API: boto3.client("lambda", endpoint_url=...)

The secrets are in ops/mailroom_ops/local/secrets.yaml. Ctrl-C stops everything; mails, tenants and settings are
there again at the next start on the same port. docs/local.md has more.
"""


def parse(arguments: list[str], environment: dict[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make run",
        description="Run the whole of Mailroom on this machine: no Docker, no AWS account, no configuration.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", default=environment.get("PORT") or "3000", help="overrides PORT")
    provider = environment.get("MAILROOM_PROVIDER") or "resend"
    parser.add_argument("--provider", default=provider, help="overrides MAILROOM_PROVIDER")
    parser.add_argument("--no-watch", action="store_true", help="do not restart functions when their code changes")
    parser.add_argument("--fresh", action="store_true", help="forget mails, tenants and settings of the last run")
    parser.add_argument("--state", metavar="FOLDER", help="what is kept; by default .cache/local/PORT, none for PORT=0")
    parser.add_argument("--env", action="store_true", help="print the variables of a running stack, and stop")
    options = parser.parse_args(arguments)
    if not (options.port.isascii() and options.port.isdigit() and int(options.port) < 65536):
        parser.error(f"PORT is {options.port!r}: use a number from 1 to 65535, such as PORT=3001 make run")
    return options


def state_folder(options: argparse.Namespace) -> Path | None:
    """Return the folder of what is kept; None for a stack on any free port, which has no successor."""
    if options.state:
        return Path(options.state)
    return None if options.port == "0" else ROOT / ".cache" / "local" / options.port


def banner(stack: "Stack") -> str:
    """Return the addresses and keys that a developer needs."""
    options, url = stack.options, stack.url
    state = f"{_relative(options.state)}; make run ARGS=--fresh forgets it" if options.state else "not kept"
    rows = (
        ("Inbox", f"{url}/"),
        ("API", f"POST {url}/v1/emails   Authorization: Bearer {stack.api_key}"),
        ("", f"{url}/docs has a command for each kind"),
        ("Webhook", f"{url}/webhooks/logto   Authorization: Bearer local-logto-token"),
        ("Sources", "`mailroom sources` prints a request of each auth server"),
        ("boto3", f'boto3.client("lambda", endpoint_url="{url}"), FunctionName="send"'),
        ("AWS", f"{stack.aws.endpoint} (moto)"),
        ("Provider", f"{options.provider} (sandbox)"),
        ("Command", f"{_relative(COMMAND)} --help; variables: make -s run ARGS=--env"),
        ("State", state),
    )
    return "\n".join(f"  {name:<9} {text}" for name, text in rows)


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def print_variables(url: str) -> int:
    """Print the addresses and keys of a running stack as lines for a shell."""
    from mailroom_ops.environment import CREDENTIALS, LOCAL, Environment
    from mailroom_ops.errors import ServiceError

    try:
        about = Environment(LOCAL, local_url=url).about
    except ServiceError as error:
        print(f"{error.sentence} {error.todo}", file=sys.stderr)
        return 1
    variables = {
        "MAILROOM_URL": url,
        "MAILROOM_API_KEY": about["api_key"],
        "AWS_ENDPOINT_URL": about["aws"],
        "AWS_ENDPOINT_URL_LAMBDA": url,
        "AWS_REGION": about["region"],
        "AWS_DEFAULT_REGION": about["region"],
        **CREDENTIALS,
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(COMMAND.parent))}:"$PATH"')
    return 0


def raise_file_limit() -> None:
    """Allow this process and its children more open files: macOS begins with 256, which a burst of mails uses up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))


def main(arguments: list[str]) -> int:
    options = parse(arguments, dict(os.environ))
    if missing := [name for name in REQUIRED_PACKAGES if find_spec(name) is None]:
        print(
            f"missing Python packages: {', '.join(missing)}. `make run` installs them.",
            file=sys.stderr,
        )
        return 2
    from mailroom_ops.cloudformation.intrinsics import TemplateError
    from mailroom_ops.local.children import StartError
    from mailroom_ops.local.logs import Logs
    from mailroom_ops.local.stack import Options, Stack
    from mailroom_ops.local.state import State

    if options.env:
        return print_variables(f"http://127.0.0.1:{options.port}")
    state = state_folder(options)
    if options.fresh and state:
        State.forget(state)
    raise_file_limit()
    ready, stopped = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        if not ready.is_set():
            raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)
    started = time.monotonic()
    settings = Options(int(options.port), options.provider, watch=not options.no_watch, state=state)
    try:
        with Stack(settings, Logs()) as stack:
            ready.set()
            print(f"\n{banner(stack)}\n  Started in {time.monotonic() - started:.1f} s. Ctrl-C stops everything.\n")
            print(f"ready {stack.url}", flush=True)
            stopped.wait()
            print("stopping", flush=True)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(
            f"port {options.port} is in use: stop the process that uses it, or choose another: PORT=3001 make run",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("stopped before it was ready", file=sys.stderr)
        return 130
    except (StartError, TemplateError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
