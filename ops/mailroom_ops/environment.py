"""An environment as the operator names it: its AWS account, stack and parameters."""

import json
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mailroom_ops.cloudformation import samconfig
from mailroom_ops.errors import AccessError, InvalidInput, ServiceError

if TYPE_CHECKING:
    from boto3 import Session

__all__ = ["ACCOUNT", "CREDENTIALS", "DEPLOYED", "LABELS", "LOCAL", "Environment", "aws_error"]

ACCOUNT = "123456789012"  # moto's
# Made up, and set on purpose: nothing that runs here may find a developer's own credentials.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIALOCALMAILROOM000",
    "AWS_SECRET_ACCESS_KEY": "local-secret-access-key",
    "AWS_SESSION_TOKEN": "local-session-token",
}
LOCAL = "local"
DEPLOYED = ("development", "staging", "production")
LABELS = (LOCAL, *DEPLOYED)
FUNCTIONS = ("webhook", "rendered", "send", "deliver", "feedback", "notify")
UNREACHABLE = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "SSLError",
)
LOGGED_OUT = (
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "ExpiredToken",
    "LoginRefreshRequired",
)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")


@dataclass
class Environment:
    """One environment; each service is called when it is first needed."""

    label: str
    profile: str | None = None
    region_name: str | None = None
    stack_name: str = ""
    local_url: str = ""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise InvalidInput(f"There is no environment {self.label!r}.", f"Use one of {', '.join(LABELS)}.")
        self.stack_name = self.stack_name or os.environ.get("MAILROOM_STACK") or f"mailroom-{self.name}"
        port = os.environ.get("PORT") or "3000"
        self.local_url = self.local_url or os.environ.get("MAILROOM_URL") or f"http://127.0.0.1:{port}"

    @property
    def is_local(self) -> bool:
        return self.label == LOCAL

    @property
    def is_production(self) -> bool:
        return self.label == "production"

    @property
    def name(self) -> str:
        """Its name in the parameter store: the local stack runs as `development`."""
        return "development" if self.is_local else self.label

    @property
    def settings_delay(self) -> str:
        """The time after which its functions use a changed setting."""
        return "within a second" if self.is_local else "within five minutes"

    @property
    def region(self) -> str:
        return self.about["region"] if self.is_local else str(self.session.region_name or "")

    @cached_property
    def about(self) -> dict[str, str]:
        """The options of the running local stack."""
        try:
            with urllib.request.urlopen(f"{self.local_url}/console/options.json", timeout=5) as answer:
                options: dict[str, str] = json.load(answer)
        except (OSError, ValueError) as error:
            raise AccessError(
                f"The local stack does not answer at {self.local_url}.",
                "Start it with `make run` (another port: PORT=3001), or name an environment with --env.",
            ) from error
        return options

    @cached_property
    def session(self) -> "Session":
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            if self.is_local:
                return boto3.Session(
                    aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=CREDENTIALS["AWS_SESSION_TOKEN"],
                    region_name=self.region,
                )
            configured = os.environ.get("AWS_DEFAULT_REGION") or samconfig.load(self.label).region
            return boto3.Session(profile_name=self.profile, region_name=self.region_name or configured or None)
        except BotoCoreError as error:
            raise aws_error(error) from error

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the boto3 client of a service, created once; `region` only where it differs from ours."""
        key = f"{service}@{region or ''}"
        if key not in self._clients:
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError

            config = Config(
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard"},
                parameter_validation=service != "dynamodb",  # our own items: it took a third of the time of an import
                max_pool_connections=32,  # a query of the ledger reads 16 partitions at once
            )
            # The local stack runs the functions itself and serves Lambda's Invoke API.
            endpoint = (self.local_url if service == "lambda" else self.about["aws"]) if self.is_local else None
            try:
                self._clients[key] = self.session.client(
                    service,  # type: ignore[call-overload]
                    region_name=region,
                    endpoint_url=endpoint,
                    config=config,
                )
            except BotoCoreError as error:
                raise aws_error(error) from error
        return self._clients[key]

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a function's answer to an event; raise ServiceError if it crashes. `function` is send, webhook ..."""
        from botocore.exceptions import BotoCoreError, ClientError

        name = self.outputs[f"{function.title()}FunctionName"]
        payload = json.dumps(event, ensure_ascii=False).encode()
        try:
            response = self.client("lambda").invoke(FunctionName=name, Payload=payload)
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error
        if "FunctionError" in response:
            raise ServiceError(f"The function {name} crashed.", "Its log has the reason.")
        answer: dict[str, Any] = json.load(response["Payload"])
        return answer

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of the stack, by their names in template.yaml."""
        if self.is_local:
            return self._local_outputs()
        values = {item["OutputKey"]: item["OutputValue"] for item in self.stack.get("Outputs", [])}
        return _Outputs(self.stack_name, self.name, values)

    @cached_property
    def chain(self) -> tuple[str, ...]:
        """The provider chain of tenants without their own: that of the deployed stack, else the default."""
        if self.is_local:
            providers = self.about["provider"]
        else:
            try:
                parameters = self.stack.get("Parameters", [])
            except ServiceError:
                parameters = []
            values = {item["ParameterKey"]: item["ParameterValue"] for item in parameters}
            providers = values.get("Providers", "resend")
        return tuple(name.strip() for name in providers.split(",") if name.strip() not in ("", "none"))

    @cached_property
    def stack(self) -> Mapping[str, Any]:
        """The description of the deployed stack by CloudFormation."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            stacks = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                raise ServiceError(
                    f"There is no stack {self.stack_name} in {self.region}.",
                    f"Deploy it with `make deploy ENVIRONMENT={self.name}`, or name another region, profile or stack.",
                ) from error
            raise aws_error(error) from error
        except BotoCoreError as error:
            raise aws_error(error) from error
        return dict(stacks[0])

    def _local_outputs(self) -> dict[str, str]:
        """Return the outputs of template.yaml, with the addresses of the local stack."""
        stack, queues = self.stack_name, f"{self.about['aws']}/{ACCOUNT}/{self.stack_name}"
        return {
            "WebhookUrl": f"{self.local_url}/webhooks/logto",
            "RenderedUrl": f"{self.local_url}/webhooks/rendered",
            "SendUrl": f"{self.local_url}/v1/emails",
            "FeedbackUrl": f"{self.local_url}/feedback",
            "LinkPageUrl": f"{self.local_url}/l",
            **{f"{name.title()}FunctionName": f"{stack}-{name}" for name in FUNCTIONS},
            "LedgerTableName": f"{stack}-ledger",
            "CodesQueueUrl": f"{queues}-codes",
            "CodesDeadLetterQueueUrl": f"{queues}-codes-dead-letters",
            "NoticesQueueUrl": f"{queues}-notices",
            "NoticesDeadLetterQueueUrl": f"{queues}-notices-dead-letters",
            "OutcomesQueueUrl": f"{queues}-outcomes",
            "OutcomesDeadLetterQueueUrl": f"{queues}-outcomes-dead-letters",
        }


class _Outputs(dict[str, str]):
    """The outputs of a deployed stack. A missing one is an error of the operator's: an older version is deployed."""

    def __init__(self, stack: str, environment: str, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._stack, self._environment = stack, environment

    def __missing__(self, name: str) -> str:
        todo = f"It is of another version. Deploy this one: make deploy ENVIRONMENT={self._environment}"
        raise ServiceError(f"The stack {self._stack} has no output {name}.", todo)


def aws_error(error: Exception) -> ServiceError:
    """Return an error of boto3 as a sentence; without AWS's words on a malformed parameter, which quote its value."""
    kind, answer = type(error).__name__, (getattr(error, "response", None) or {}).get("Error", {})
    code, operation = str(answer.get("Code", "")), str(getattr(error, "operation_name", ""))
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return AccessError("No AWS credentials were found.", "Log in to AWS, or name a profile with --profile.")
    if kind == "ProfileNotFound":
        return AccessError(f"{error}.", "`aws configure list-profiles` lists all.")
    if kind == "NoRegionError":
        return AccessError("No AWS region is set.", "Name one with --region, or set AWS_REGION.")
    if kind in LOGGED_OUT or code.startswith("ExpiredToken"):
        return AccessError("Your AWS login has expired.", "Log in again, for example with `aws sso login`.")
    if code in (
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    ):
        return AccessError("AWS rejects these credentials.", "Log in again, or name another profile with --profile.")
    if code in DENIED:
        return ServiceError(
            f"You have no permission for {operation}.", "Ask for it, or name another profile with --profile."
        )
    if kind in UNREACHABLE:
        return ServiceError(f"AWS cannot be reached: {kind}.", "Check the network, the region and AWS_ENDPOINT_URL.")
    message = "" if operation == "PutParameter" else str(answer.get("Message", "")).rstrip(".")
    return ServiceError(f"AWS refused {operation or 'it'}: {code or kind}" + (f", {message}." if message else "."))
