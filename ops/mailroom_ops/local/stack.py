"""The local stack: moto, the provider sandboxes, the functions, the queue pollers and the front door."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from mailroom_ops.cloudformation.intrinsics import TemplateError
from mailroom_ops.console.console import Console
from mailroom_ops.environment import Environment
from mailroom_ops.local import api_page, callbacks_page, inbox_page
from mailroom_ops.local.api_page import ApiPage
from mailroom_ops.local.aws_server import Aws
from mailroom_ops.local.blueprint import ENVIRONMENT, Blueprint
from mailroom_ops.local.callbacks_page import CallbacksPage
from mailroom_ops.local.children import Children, StartError
from mailroom_ops.local.faults_page import FaultsPage
from mailroom_ops.local.front_door import FrontDoor
from mailroom_ops.local.functions import Function
from mailroom_ops.local.gateway import Gateway
from mailroom_ops.local.inbox_page import InboxPage
from mailroom_ops.local.invoke_api import InvokeApi
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.poller import Poller
from mailroom_ops.local.provision import load_secrets, provision, read_settings
from mailroom_ops.local.runtime_api import InvocationResult
from mailroom_ops.local.samples import Samples
from mailroom_ops.local.state import Keeper, KeptInbox, State, restore
from mailroom_ops.sandbox import reports
from mailroom_ops.sandbox.reporter import Reporter
from mailroom_ops.sandbox.resend import Resend
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses
from mailroom_ops.sandbox.smtp import SmtpSandbox
from mailroom_ops.web.frame import Link
from mailroom_ops.web.server import Server
from mailroom_ops.web.watch import Watcher

__all__ = ["ROOT", "SECRETS", "Options", "Stack"]

ROOT = Path(__file__).parents[3]
SECRETS = Path(__file__).with_name("secrets.yaml")
START_SECONDS = 60.0
CALLBACK_TENANT = "acme"  # whose events are posted to the page of callbacks, unless the secrets contain another URL
CALLBACK_SECRET = "whsec_bG9jYWwtY2FsbGJhY2stc2VjcmV0LTAwMDE="
CONTEXT_VARIABLE = re.compile(r"\$context\.([\w.]*\w)")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a stack; the defaults are those of `make run`."""

    port: int = 3000
    provider: str = "resend"
    root: Path = ROOT
    secrets: Path = SECRETS
    region: str = "eu-west-1"
    watch: bool = True
    client: str | None = None  # awslambdaric or python; None for the first that is installed
    parameters: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of queue properties, by logical id
    environment: Mapping[str, str] = field(default_factory=dict)  # of every function
    reports: bool = True  # whether the sandboxes send delivery reports, as their providers do
    state: Path | None = None  # the folder that keeps what the stack knows for its next run
    proxy: Callable[[str], str] | None = None  # returns the endpoint of a proxy in front of moto's endpoint


class Stack:
    """A running local stack, for the time of a `with` block."""

    def __init__(self, options: Options, logs: Logs) -> None:
        self.options = options
        self.logs = logs
        self.functions: dict[str, Function] = {}
        self.pollers: list[Poller] = []
        self._state: State | None = None
        self._loaded: dict[str, str] = {}  # the content of the secrets file when it was read
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._start(opened)
            self._ending = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def api_key(self) -> str:
        """A key for the API; empty if none is set."""
        return next(iter(self._samples.api_keys()), "")

    def invoke(self, name: str, event: bytes) -> InvocationResult:
        """Run an event through a function."""
        return self.functions[name].invoke(event)

    def _start(self, opened: ExitStack) -> None:
        options = self.options
        chain = "" if options.provider == "none" else options.provider
        parameters = {"Providers": chain, **options.parameters}
        self.blueprint = Blueprint(options.root, options.region, parameters, options.overrides)
        self._server = opened.enter_context(Server(options.port, lambda request: self._front_door.answer(request)))
        children = Children()
        opened.callback(children.close)
        if options.state:
            self._state = State(options.state, lambda text: self.logs.log(text, "WARNING"))
            self._state.open()
        state = self._state
        port = state.port if state else lambda name: 0
        inbox = KeptInbox(state.inbox_file) if state else None
        self.sandbox = opened.enter_context(Sandbox(inbox, port=port("sandbox")))
        self.smtp = opened.enter_context(SmtpSandbox(self.sandbox.inbox, self.sandbox.faults, port=port("smtp")))
        snapshot = state.read("aws") if state else {}
        self.aws = Aws(children, options.region, self.logs, port("aws"), state.aws_file if state else None)
        opened.callback(self.aws.stop)
        self.aws.wait(options.proxy)
        self.sandbox.stubs["ses"] = Ses(self.aws.endpoint)
        provision(self.blueprint, self.aws)
        if state:
            self._restore(state, snapshot, opened)
        self.load_secrets()
        if state:
            state.write("ports", self._ports())
        self.aws.start_saving()
        self._start_functions(children, opened)
        self._start_pollers(opened)
        self._open_front_door(opened)
        if options.watch:
            self._watch(opened)

    def load_secrets(self) -> None:
        """Write what is new in the secrets file, and in the settings of the sandboxes, into SSM."""
        self._loaded = load_secrets(self.options.secrets, self._provider_settings(), self.aws, self._loaded)
        if self._state:
            self._state.write("settings", self._loaded)

    def _restore(self, state: State, snapshot: Mapping[str, Any], opened: ExitStack) -> None:
        """Restore the state of the last run, and keep that of this one."""
        blueprint = self.blueprint
        tables = {blueprint.table_name(name): properties for name, properties in blueprint.tables().items()}
        queues = {blueprint.queue_name(name): blueprint.queue_url(name) for name in blueprint.queues()}
        restore(snapshot, self.aws.client, tables, queues, state.report)
        self._loaded = state.read("settings") if snapshot else {}
        resend = self.sandbox.stubs["resend"]
        if isinstance(resend, Resend):
            resend.domains.load(state.read("domains"))
            opened.callback(Keeper(state, "domains", resend.domains.export).stop)

    def _ports(self) -> dict[str, int]:
        aws = urlsplit(self.aws.endpoint).port or 0
        return {"sandbox": urlsplit(self.sandbox.url).port or 0, "smtp": self.smtp.port, "aws": aws}

    def _provider_settings(self) -> dict[str, str]:
        settings = {name: self.sandbox.settings(name) for name in self.sandbox.stubs} | {"smtp": self.smtp.settings()}
        parameters = {
            f"providers/{name}/{key}": value for name, values in settings.items() for key, value in values.items()
        }
        callback = {"url": f"{self.url}/callbacks/{CALLBACK_TENANT}", "secrets": [CALLBACK_SECRET]}
        return parameters | reports.settings() | {f"callbacks/{CALLBACK_TENANT}": json.dumps(callback)}

    def _callback_secrets(self, tenant: str) -> list[str]:
        """Return the secrets by which the page of callbacks verifies the events of a tenant."""
        ssm, name = self.aws.client("ssm"), f"/mailroom/{ENVIRONMENT}/callbacks/{tenant}"
        try:
            value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            return []
        secrets = json.loads(value).get("secrets", [])
        return [secret for secret in secrets if isinstance(secret, str)]

    def _start_functions(self, children: Children, opened: ExitStack) -> None:
        for name, spec in self.blueprint.specs(self.aws.endpoint, self.options.environment).items():
            self.functions[name] = Function(spec, children, self.logs, self.options.client)
            opened.callback(self.functions[name].stop)
            self.functions[name].start()
        for name, function in self.functions.items():
            if failure := function.wait(START_SECONDS):
                raise StartError(f"the function {name} does not start: {failure.payload.decode(errors='replace')}")

    def _start_pollers(self, opened: ExitStack) -> None:
        for source in self.blueprint.sources():
            poller = Poller(source, self.aws.client("sqs"), self.invoke, self.logs)
            opened.callback(poller.stop)
            poller.start()
            self.pollers.append(poller)

    def _open_front_door(self, opened: ExitStack) -> None:
        address = f"127.0.0.1:{self._server.server_port}"
        invoke_api = InvokeApi(self.functions)
        opened.callback(invoke_api.stop)
        self._samples = samples = Samples(self.options.root, address, lambda: read_settings(self.aws))
        environment = Environment("local", stack_name=self.blueprint.stack_name, local_url=self.url)
        templates = self.options.root / "layers" / "templates"
        links = [Link("Inbox", "/"), Link("API", "/docs"), Link("Callbacks", "/callbacks")]
        folders = [inbox_page.FOLDER, api_page.FOLDER, callbacks_page.FOLDER]
        console = Console(
            environment, templates, first_links=links, page_folders=folders, log_error=self._log_console_error
        )
        inbox = InboxPage(console.frame, self.sandbox.inbox, samples, self._about)
        api = ApiPage(console.frame, self.options.root, self.url, self.options.secrets)
        callbacks = CallbacksPage(console.frame, self._callback_secrets)
        gateway = Gateway(self.blueprint.routes(), self.blueprint.throttle(), self.invoke, self._report)
        faults = FaultsPage(self.sandbox)
        pages = [faults.answer, inbox.answer, api.answer, callbacks.answer, console.answer]
        local_handlers = [invoke_api.answer, *pages]
        self._front_door = FrontDoor(local_handlers, gateway.answer, self.logs)
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="front door", daemon=True)
        thread.start()
        opened.callback(self._server.shutdown)
        if self.options.reports:
            opened.callback(Reporter(self.sandbox.inbox, self.url).stop)

    def _log_console_error(self, trace: str) -> None:
        self.logs.log(trace, "ERROR", "console")

    def _about(self) -> dict[str, str]:
        return {
            "provider": self.options.provider,
            "aws": self.aws.endpoint,
            "region": self.options.region,
            "webhook": f"{self.url}/webhooks/logto",
            "api_key": self.api_key,
        }

    def _report(self, context: Mapping[str, str]) -> None:
        """Write a request to the access log in the format of the template, and print it in a readable form."""
        line = CONTEXT_VARIABLE.sub(lambda name: context.get(name[1], "-"), self.blueprint.access_log_format())
        self.logs.add("access", line, show=False)
        route = f"{context['httpMethod']} {context['routeKey'].partition(' ')[2]}"
        level = "ERROR" if int(context["status"]) >= 500 else "INFO"
        self.logs.log(f"{route} → {context['status']} in {context['responseLatency']} ms", level, "http")

    def _watch(self, opened: ExitStack) -> None:
        roots = [self.options.root / "functions", self.options.root / "layers", self.options.secrets]
        watcher = Watcher([*roots, self.options.root / "template.yaml"], self._changed)
        watcher.start()
        opened.callback(watcher.stop)

    def _changed(self, paths: set[Path]) -> None:
        names = {path.name for path in paths}
        folders = {
            path.relative_to(self.options.root / "functions").parts[0] for path in paths if self._in("functions", path)
        }
        restarts_all = any(self._in("layers", path) for path in paths)
        if "template.yaml" in names:
            self.logs.log("template.yaml has changed: restart the stack to apply it", "WARNING")
        if self.options.secrets.name in names:
            restarts_all = self._load_changed_secrets()
        for name in self.functions if restarts_all else folders & set(self.functions):
            self.functions[name].restart()
        if restarts_all or folders:
            restarted = "all functions" if restarts_all else ", ".join(sorted(folders))
            self.logs.log(f"restarted {restarted}: {', '.join(sorted(names))} changed")

    def _load_changed_secrets(self) -> bool:
        try:
            self.load_secrets()
        except TemplateError as error:
            self.logs.log(str(error), "ERROR")
            return False
        return True

    def _in(self, folder: str, path: Path) -> bool:
        return path.is_relative_to(self.options.root / folder)
