"""Run the local stack: `make run`, or `python -m mailroom_ops.local`."""

import argparse
import errno
import os
import signal
import sys
import threading
import time
from importlib.util import find_spec

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
EPILOGUE = """\
environment:
  PORT=3000                 the port of the console and all routes; 0 takes any free port
  MAILROOM_PROVIDER=resend  the provider, each with a local sandbox: resend, ses, smtp, sendgrid, mailgun, postmark,
                            aliyun, http, a chain such as "resend, ses", or none

at http://127.0.0.1:PORT
  /                                         the inbox, updated live, and buttons that send samples
  /console/deliveries                       the delivery status of each email, updated live
  /docs                                     the API of send, with a command for each kind of email
  /gallery                                  every kind of email in every language and brand, live from the templates
  /webhooks/logto, /webhooks/logto/acme     webhooks for Logto (Authorization: Bearer local-logto-token)
  /webhooks/{source}                        webhooks for other auth servers; `mailroom sources` prints a request of each
  /v1/emails                                the API of send (Authorization: Bearer local-api-key)
  /feedback/{provider}                      the other routes of template.yaml
  /inbox.json                               GET the captured emails, DELETE to empty the inbox
  /2015-03-31/functions/{name}/invocations  Lambda's Invoke API: boto3.client("lambda", endpoint_url=...)

The secrets are in ops/mailroom_ops/local/secrets.yaml. Ctrl-C stops everything.
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
    options = parser.parse_args(arguments)
    if not (options.port.isascii() and options.port.isdigit() and int(options.port) < 65536):
        parser.error(f"PORT is {options.port!r}: use a number from 1 to 65535, such as PORT=3001 make run")
    return options


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

    ready, stopped = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        if not ready.is_set():
            raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)
    started = time.monotonic()
    settings = Options(port=int(options.port), provider=options.provider, watch=not options.no_watch)
    try:
        with Stack(settings, Logs()) as stack:
            ready.set()
            print(f"\n  Inbox     {stack.url}/")
            print(f"  Webhook   {stack.url}/webhooks/logto   Authorization: Bearer local-logto-token")
            print(f"  API       {stack.url}/docs   Authorization: Bearer local-api-key")
            print("  Sources   `mailroom sources` prints a request of each auth server")
            print(f"  Provider  {settings.provider} (sandbox)")
            print(f"  AWS       {stack.aws.endpoint} (moto)")
            print(f"  Started in {time.monotonic() - started:.1f} s. Ctrl-C stops everything.\n")
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
