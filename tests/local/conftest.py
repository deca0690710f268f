"""A small project for tests of the machinery: handlers that do as they are told, queues that give up soon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom_ops.local.children import Children
from mailroom_ops.local.functions import Function
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.worker import Spec
from tests.running import Running, running

HANDLER = """\
import json, os, sys, time

print("loaded")


def handler(event, context):
    match event.get("do"):
        case "raise":
            raise ValueError("told to")
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(3600)
        case "say":
            print(event["text"])
        case "meet":
            open(event["mine"], "w").close()
            while not os.path.exists(event["theirs"]):
                time.sleep(0.01)
        case "unserializable":
            return {1, 2}
        case "environment":
            return dict(os.environ)
        case "answer":
            return event["answer"]
    known = {"id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
             "left": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb}
    return {"event": event, "context": known, "pid": os.getpid(), "version": 1}
"""

ECHO = """\
import json

ANSWER = "first"


def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"},
            "body": json.dumps({"answer": ANSWER, "event": event})}
"""

WORK = """\
import json


def handler(event, context):
    failed = []
    for record in event["Records"]:
        said = json.loads(record["body"])
        print(json.dumps({"worked": said["id"], "lane": record["eventSourceARN"].rpartition(":")[2],
                          "times": record["attributes"]["ApproximateReceiveCount"]}))
        if said.get("do") == "raise":
            raise ValueError("told to")
        if said.get("do") == "fail":
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Environment: {Type: String}
  Providers: {Type: String, Default: resend}
  Rate: {Type: Number, Default: 1000}
Globals:
  Function:
    Handler: app.handler
    Timeout: 5
    Environment:
      Variables: {ENVIRONMENT: !Ref Environment}
Resources:
  HttpApi:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefaultRouteSettings: {ThrottlingRateLimit: !Ref Rate, ThrottlingBurstLimit: !Ref Rate}
  EchoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/echo
      Layers: [!Ref SharedLayer]
      Environment:
        Variables: {QUEUE: !Ref CodesQueue, SHARED: /opt/shared}
      Events:
        Named: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi, Method: ANY, Path: "/echo/{name}"}}
  WorkFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/chores
      FunctionName: !Sub ${AWS::StackName}-chores
      Events:
        Codes:
          Type: SQS
          Properties: {Queue: !GetAtt CodesQueue.Arn, BatchSize: 10, FunctionResponseTypes: [ReportBatchItemFailures]}
        Notices:
          Type: SQS
          Properties: {Queue: !GetAtt NoticesQueue.Arn, BatchSize: 10, FunctionResponseTypes: [ReportBatchItemFailures]}
  SharedLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/shared}
  CodesQueue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub ${AWS::StackName}-codes
      VisibilityTimeout: 1
      RedrivePolicy: {deadLetterTargetArn: !GetAtt CodesDeadLetterQueue.Arn, maxReceiveCount: 2}
  CodesDeadLetterQueue:
    Type: AWS::SQS::Queue
  NoticesQueue:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: 1}
  NoticesDeadLetterQueue:
    Type: AWS::SQS::Queue
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
"""


class Workshop:
    """Makes functions out of handlers, run by one runtime client or the other."""

    def __init__(self, folder: Path, children: Children, client: str) -> None:
        self.folder = folder
        self.logs = Logs(out=None)
        self._children = children
        self._client = client
        self._made: list[Function] = []

    def function(self, code: str = HANDLER, timeout: float = 10, concurrency: int = 2) -> Function:
        (self.folder / "app.py").write_text(code)
        variables = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
        environment = {
            **dict.fromkeys(variables, "workshop"),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:workshop"
        spec = Spec("workshop", "workshop", arn, self.folder, "app.handler", environment, timeout, concurrency)
        self._made.append(Function(spec, self._children, self.logs, self._client))
        self._made[-1].start()
        return self._made[-1]

    def close(self) -> None:
        for function in self._made:
            function.stop()


@pytest.fixture(params=["awslambdaric", "python"])
def workshop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    if request.param == "awslambdaric":
        pytest.importorskip("awslambdaric", reason="needs awslambdaric, which has wheels for Linux only")
    children = Children()
    made = Workshop(tmp_path, children, request.param)
    yield made
    made.close()
    children.close()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running stack of the small project, which restarts on change."""
    root = tmp_path_factory.mktemp("project")
    for name, text in {
        "template.yaml": TEMPLATE,
        "functions/echo/app.py": ECHO,
        "functions/chores/app.py": WORK,
        "layers/shared/shared.py": "WORD = 'shared'\n",
        "secrets.yaml": "webhooks/logto/authorization: Bearer small\nsenders/default/auth: {from: a@example.com}\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with running(root=root, secrets=root / "secrets.yaml", watch=True) as started:
        yield started
