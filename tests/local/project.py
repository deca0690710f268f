"""A small project for tests of the local stack: handlers that follow instructions, queues with few retries."""

from pathlib import Path

from mailroom_ops.local.children import Children
from mailroom_ops.local.functions import Function
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.worker import Spec

__all__ = ["ECHO", "FILES", "HANDLER", "FunctionFactory"]

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
    values = {"id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
             "remaining": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb}
    return {"event": event, "context": values, "pid": os.getpid(), "version": 1}
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
        body = json.loads(record["body"])
        print(json.dumps({"worked": body["id"], "lane": record["eventSourceARN"].rpartition(":")[2],
                          "times": record["attributes"]["ApproximateReceiveCount"]}))
        if body.get("do") == "raise":
            raise ValueError("told to")
        if body.get("do") == "fail":
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


FILES = {
    "template.yaml": TEMPLATE,
    "functions/echo/app.py": ECHO,
    "functions/chores/app.py": WORK,
    "layers/shared/shared.py": "WORD = 'shared'\n",
    "secrets.yaml": "webhooks/logto/authorization: Bearer small\nsenders/default/auth: {from: a@example.com}\n",
}


class FunctionFactory:
    """Creates functions from the code of a handler, run by one of the two runtime clients."""

    def __init__(self, folder: Path, children: Children, client: str) -> None:
        self.folder = folder
        self.logs = Logs(out=None)
        self._children = children
        self._client = client
        self._functions: list[Function] = []

    def function(self, code: str = HANDLER, timeout: float = 10, concurrency: int = 2) -> Function:
        (self.folder / "app.py").write_text(code)
        variables = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
        environment = {
            **dict.fromkeys(variables, "sample"),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:sample"
        spec = Spec("sample", "sample", arn, self.folder, "app.handler", environment, timeout, concurrency)
        self._functions.append(Function(spec, self._children, self.logs, self._client))
        self._functions[-1].start()
        return self._functions[-1]

    def close(self) -> None:
        for function in self._functions:
            function.stop()
