"""The models of AWS compared with other implementations: the same random calls, the same answers.

moto has SQS, DynamoDB and SSM; dynalite, from npm, has DynamoDB's expressions, written from the answers of the real
service. Where they differ from each other or from AWS's documentation, the calls avoid it; a comment has the reason.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from random import Random
from shutil import which
from typing import Any

import pytest

from mailroom.aws.client import Aws, AwsError
from tests.cloud import REGION
from tests.simulation.dynamodb import Table
from tests.simulation.scheduler import Scheduler
from tests.simulation.sqs import Queue, Queues
from tests.simulation.ssm import Parameters
from tests.thorough import times

HERE = Path(__file__).parent
SEQUENCES = times(8, 80)
LENGTH = 40  # calls in a sequence

Answer = tuple[str, Any]
Call = tuple[str, dict[str, Any]]
Model = Callable[[str, Mapping[str, Any]], tuple[int, dict[str, Any]]]


def of_model(model: Model, operation: str, payload: Mapping[str, Any]) -> Answer:
    """Return the error code, or "", and the body of a model's answer."""
    status, body = model(operation, payload)
    return "" if status == 200 else body["__type"].rpartition("#")[2], body


def of_service(aws: Aws, service: str, operation: str, payload: Mapping[str, Any]) -> Answer:
    """Return the error code, or "", and the body of another implementation's answer."""
    try:
        return "", aws.call(service, operation, payload)
    except AwsError as error:
        return error.code, error.body


# ---- DynamoDB ----

TABLE = {
    "TableName": "table",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "group", "rank")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_group",
            "KeySchema": [
                {"AttributeName": "group", "KeyType": "HASH"},
                {"AttributeName": "rank", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}
STRINGS = ("a", "ab", "b", "z" * 40, "", "ä")
PLAIN_STRINGS = STRINGS[:4]
NUMBERS = ("0", "1", "2", "-3", "10", "2.5")
MEMBERS = ("x", "y", "z")
ATTRIBUTES = {"number": "N", "0": "N", "text": "S", "set": "SS", "list": "L", "map": "M", "flag": "BOOL"}


class Expressions:
    """Makes up items, conditions and updates, with the placeholders that they use."""

    def __init__(self, random: Random, without: str = "") -> None:
        self.random = random
        self.without = without
        self.names: dict[str, str] = {}
        self.values: dict[str, dict[str, Any]] = {}

    def attribute(self, *kinds: str) -> str:
        name = self.random.choice([name for name, kind in ATTRIBUTES.items() if kind in (kinds or ATTRIBUTES.values())])
        self.names[f"#{name}"] = name
        return f"#{name}"

    def literal(self, kind: str) -> dict[str, Any]:
        random = self.random
        match kind:
            case "N":
                return {"N": random.choice(NUMBERS)}
            case "S":
                return {"S": random.choice(PLAIN_STRINGS if self.without == "transactions" else STRINGS)}
            case "SS":
                return {"SS": random.sample(MEMBERS, random.randint(1, 3))}
            case "BOOL":
                return {"BOOL": random.random() < 0.5}
            case "L":
                return {"L": [self.literal(random.choice("NS")) for _ in range(random.randint(0, 3))]}
        return {"M": {name: self.literal(random.choice("NS")) for name in random.sample(MEMBERS, random.randint(0, 2))}}

    def value(self, kind: str) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = self.literal(kind)
        return placeholder

    def kind(self) -> str:
        return self.random.choice(list(ATTRIBUTES.values()))

    def item(self, pk: str) -> dict[str, Any]:
        random = self.random
        item = {name: self.literal(kind) for name, kind in ATTRIBUTES.items() if random.random() < 0.6}
        if random.random() < 0.6:
            item["group"] = {"S": random.choice(("g", "h"))}
            item["rank"] = {"S": pk}  # each its own: items of equal rank have no order
        return {"pk": {"S": pk}, **item}

    def condition(self, depth: int = 0) -> str:
        random = self.random
        if depth < 2 and random.random() < 0.5:
            left = self.condition(depth + 1)
            if random.random() < 0.25:
                return f"NOT ({left})"
            right = self.condition(depth + 1)
            return random.choice((f"{left} AND {right}", f"{left} OR {right}", f"({left} OR {right})"))
        kind = random.choice(("N", "S"))
        match random.choice((0, 1, 2, 3, 6, 8) if self.without == "orders" else range(9)):
            case 0:
                return f"attribute_exists({random.choice(('pk', self.attribute()))})"
            case 1:
                return f"attribute_not_exists({random.choice(('pk', self.attribute()))})"
            case 2:
                return f"begins_with({self.attribute('S')}, {self.value('S')})"
            case 3:
                return f"contains({self.attribute('S', 'SS', 'L')}, {self.value('S')})"
            case 4:
                return f"size({self.attribute('S', 'SS', 'L')}) {random.choice(('<', '>', '='))} {self.value('N')}"
            case 5:
                low, high = sorted(random.sample(range(-5, 12), 2))
                names = (f":v{len(self.values)}", f":v{len(self.values) + 1}")
                self.values |= {names[0]: {"N": str(low)}, names[1]: {"N": str(high)}}
                return f"{self.attribute('N')} BETWEEN {names[0]} AND {names[1]}"
            case 6:
                return f"{self.attribute(kind)} IN ({self.value(kind)}, {self.value(kind)})"
            case 7:
                return f"{self.attribute(kind)} {random.choice(('<', '<=', '>', '>='))} {self.value(kind)}"
        kind = random.choice(("N", "S", "SS", "BOOL")) if self.without == "transactions" else self.kind()
        return f"{self.attribute(kind)} {random.choice(('=', '<>'))} {self.value(kind)}"

    def update(self) -> str:
        clauses: dict[str, list[str]] = {}
        free = [name for name in ATTRIBUTES if self.random.random() < 0.5] or ["number"]
        for name in free:
            self.names[f"#{name}"] = name
            clause, text = self.action(name, ATTRIBUTES[name])
            clauses.setdefault(clause, []).append(text)
        return " ".join(f"{clause} {', '.join(texts)}" for clause, texts in clauses.items())

    def action(self, name: str, kind: str) -> tuple[str, str]:
        random, path = self.random, f"#{name}"
        choices = ["set", "set", "once", "remove"]
        choices += {"N": ["add", "sum", "difference"], "SS": ["add", "delete"], "L": ["append", "append"]}.get(kind, [])
        match random.choice(choices):
            case "set":
                return "SET", f"{path} = {self.value(kind if random.random() < 0.9 else self.kind())}"
            case "once":
                return "SET", f"{path} = if_not_exists({path}, {self.value(kind)})"
            case "sum":
                return "SET", f"{path} = if_not_exists({path}, {self.value('N')}) + {self.value('N')}"
            case "difference":
                return "SET", f"{path} = {path} - {self.value('N')}"
            case "append":
                start = path if random.random() < 0.3 else f"if_not_exists({path}, {self.value('L')})"
                return "SET", f"{path} = list_append({start}, {self.value('L')})"
            case "add":
                return "ADD", f"{path} {self.value(kind)}"
            case "delete":
                return "DELETE", f"{path} {self.value('SS')}"
        return "REMOVE", path

    def placeholders(self) -> dict[str, Any]:
        names = {"ExpressionAttributeNames": self.names} if self.names else {}
        return {**names, **({"ExpressionAttributeValues": self.values} if self.values else {})}


def write(random: Random, kind: str, pk: str, without: str) -> dict[str, Any]:
    """Make up a write to an item, mostly with a condition."""
    expressions = Expressions(random, without)
    request: dict[str, Any] = {"TableName": "table"}
    if kind == "Put":
        request["Item"] = expressions.item(pk)
    else:
        request["Key"] = {"pk": {"S": pk}}
    if kind == "ConditionCheck" or random.random() < 0.7:
        request["ConditionExpression"] = expressions.condition()
    if kind == "Update":
        request["UpdateExpression"] = expressions.update()
    return {**request, **expressions.placeholders()}


def dynamodb_calls(seed: str, without: str) -> Iterator[Call]:
    random = Random(seed)  # noqa: S311 - it has to be repeatable
    keys = ("a", "b", "c", "d")
    for _ in range(LENGTH):
        pk, chance = random.choice(keys), random.random()
        if chance < 0.45:
            returned = {"ReturnValues": random.choice(("NONE", "ALL_OLD", "ALL_NEW"))}
            yield "UpdateItem", {**write(random, "Update", pk, without), **returned}
        elif chance < 0.6:
            yield "PutItem", write(random, "Put", pk, without)
        elif chance < 0.66:
            yield "DeleteItem", {**write(random, "Delete", pk, without), "ReturnValues": "ALL_OLD"}
        elif chance < 0.72:
            some = random.sample(keys, 2)
            put, delete = {"Item": Expressions(random, without).item(some[0])}, {"Key": {"pk": {"S": some[1]}}}
            yield "BatchWriteItem", {"RequestItems": {"table": [{"PutRequest": put}, {"DeleteRequest": delete}]}}
        elif chance < 0.78:
            keys_of = [{"pk": {"S": key}} for key in random.sample(keys, 3)]
            yield "BatchGetItem", {"RequestItems": {"table": {"Keys": keys_of}}}
        elif chance < 0.84:
            yield (
                "Query",
                {
                    "TableName": "table",
                    "IndexName": "by_group",
                    "KeyConditionExpression": "#group = :group AND #rank > :rank",
                    "ExpressionAttributeNames": {"#group": "group", "#rank": "rank"},
                    "ExpressionAttributeValues": {":group": {"S": "g"}, ":rank": {"S": random.choice(("0", "a", "b"))}},
                    "ScanIndexForward": random.random() < 0.5,
                    "Limit": random.randint(1, 4),
                },
            )
        elif chance < 0.95 and without != "transactions":
            kinds = random.choices(("Put", "Update", "Delete", "ConditionCheck"), k=random.randint(1, 3))
            items = [
                {kind: write(random, kind, key, without)}
                for kind, key in zip(kinds, random.sample(keys, 3), strict=False)
            ]
            yield "TransactWriteItems", {"TransactItems": items}
        else:
            yield "GetItem", {"TableName": "table", "Key": {"pk": {"S": pk}}, "ConsistentRead": True}


def plain(value: Any) -> Any:
    """Return a part of an answer in a form that does not depend on the order of sets or the form of numbers."""
    if isinstance(value, dict):
        forms: dict[str, Callable[[Any], Any]] = {"SS": sorted, "N": Decimal}
        return {name: forms[name](inner) if name in forms and inner else plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def dynamodb_answer(answer: Answer, operation: str) -> Answer:
    """Return the parts of an answer that our code reads."""
    code, body = answer
    if code == "TransactionCanceledException":
        return code, [reason["Code"] for reason in body["CancellationReasons"]]
    if code:
        return code, None
    if operation == "BatchGetItem":
        return code, sorted((plain(item) for item in body["Responses"]["table"]), key=lambda item: str(item["pk"]))
    return code, plain({name: body[name] for name in ("Item", "Items", "Attributes") if name in body})


def assert_model_agrees(aws: Aws, seed: str, without: str) -> None:
    table = Table("table", "pk", {"by_group": ("group", "rank")})
    for operation, payload in dynamodb_calls(seed, without):
        expected = dynamodb_answer(of_service(aws, "dynamodb", operation, payload), operation)
        assert dynamodb_answer(of_model(table.request, operation, payload), operation) == expected, (operation, payload)
    for pk in ("a", "b", "c", "d"):
        stored = of_service(aws, "dynamodb", "GetItem", {"TableName": "table", "Key": {"pk": {"S": pk}}})[1].get("Item")
        assert plain(table.items.get(pk)) == plain(stored)


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_dynamodb_answers_as_moto_does(aws: Aws, number: int) -> None:
    aws.call("dynamodb", "CreateTable", TABLE)

    # moto answers with a 500 where an attribute that is not there has a size, or is compared by order.
    assert_model_agrees(aws, f"moto {number}", without="orders")


@pytest.fixture(scope="module")
def dynalite() -> Iterator[Aws]:
    """A client of a running dynalite that has the table."""
    if which("node") is None or not (HERE / "node_modules").is_dir():
        pytest.skip("needs node and its packages: install node, then `npm ci` in tests/simulation (`make test` does)")
    with subprocess.Popen(
        ["node", "dynalite.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        url = process.stdout.readline().strip()
        with closing(Aws(REGION, url)) as client, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            client.call("dynamodb", "CreateTable", TABLE)
            yield client
        process.stdin.close()


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_dynamodb_answers_as_dynalite_does(dynalite: Aws, number: int) -> None:
    for pk in ("a", "b", "c", "d"):
        dynalite.call("dynamodb", "DeleteItem", {"TableName": "table", "Key": {"pk": {"S": pk}}})

    # dynalite has no transactions. For it an empty string is in no list, and the size of a string is its number of
    # characters (the model counts bytes): it gets neither empty strings nor other letters than English ones. It takes
    # no two lists or maps for equal: they are not compared.
    assert_model_agrees(dynalite, f"dynalite {number}", without="transactions")


# ---- SQS ----


class Both:
    """A queue of the model and one of moto, with the receipt handles that each gave for the same message."""

    def __init__(self, aws: Aws, max_receives: int) -> None:
        self.aws = aws
        scheduler = Scheduler("models", ())
        self.dead = Queue("dead", scheduler)
        self.queue = Queue("queue", scheduler, 30.0, max_receives, self.dead)
        self.model = Queues(self.queue, self.dead)
        dead_url = aws.call("sqs", "CreateQueue", {"QueueName": "dead"})["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:dead"
        policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": {max_receives}}}'
        url = aws.call("sqs", "CreateQueue", {"QueueName": "queue", "Attributes": {"RedrivePolicy": policy}})[
            "QueueUrl"
        ]
        self.urls = {"model": (self.queue.url, self.dead.url), "moto": (url, dead_url)}
        self.handles: dict[str, tuple[str, str]] = {}

    def call(self, operation: str, payload: Mapping[str, Any], *, dead: bool = False) -> tuple[Answer, Answer]:
        model, moto = (urls[dead] for urls in self.urls.values())
        return (
            of_model(self.model.request, operation, {"QueueUrl": model, **payload}),
            of_service(self.aws, "sqs", operation, {"QueueUrl": moto, **payload}),
        )

    def call_with_handle(self, operation: str, body: str, payload: Mapping[str, Any]) -> tuple[Answer, Answer]:
        """Call with the handles that the last receive of a message gave: older ones have no defined effect."""
        (model_url, moto_url), (model, moto) = (urls[0] for urls in self.urls.values()), self.handles.pop(body)
        return (
            of_model(self.model.request, operation, {"QueueUrl": model_url, "ReceiptHandle": model, **payload}),
            of_service(self.aws, "sqs", operation, {"QueueUrl": moto_url, "ReceiptHandle": moto, **payload}),
        )

    def receive(self, count: int, *, dead: bool = False) -> tuple[dict[str, str], dict[str, str]]:
        """Receive from both; return each message's body and number of receives, and keep their handles."""
        payload = {"MaxNumberOfMessages": count, "VisibilityTimeout": 600, "AttributeNames": ["All"]}
        received: list[dict[str, str]] = []
        handles: list[dict[str, str]] = []
        for code, body in self.call("ReceiveMessage", payload, dead=dead):
            assert not code
            messages = body.get("Messages", [])
            received.append({m["Body"]: "" if dead else m["Attributes"]["ApproximateReceiveCount"] for m in messages})
            handles.append({m["Body"]: m["ReceiptHandle"] for m in messages})
        self.handles |= {body: (handle, handles[1].get(body, "")) for body, handle in handles[0].items()}
        moved = {entry.body for entry in self.dead.entries.values()}
        self.handles = {body: pair for body, pair in self.handles.items() if body not in moved}
        return received[0], received[1]


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_sqs_answers_as_moto_does(aws: Aws, number: int) -> None:
    # Never more than ten messages, and all are received: which ones, and in what order, is up to a standard queue.
    # No call waits for time to pass, because moto's is the machine's. moto accepts an empty message, SQS and the model
    # do not.
    random = Random(f"sqs {number}")  # noqa: S311 - it has to be repeatable
    both = Both(aws, max_receives=3)
    bodies = iter(f"body {n}" for n in range(LENGTH * 3))
    for _ in range(LENGTH):
        alive = len(both.queue.entries)
        match random.choice(("send", "batch", "receive", "receive", "delete", "give back", "wrong")):
            case "send" if alive < 8:
                model, moto = both.call("SendMessage", {"MessageBody": next(bodies), "DelaySeconds": 0})
                assert (model[0], moto[0]) == ("", "")
            case "batch" if alive < 6:
                entries = [{"Id": str(n), "MessageBody": next(bodies)} for n in range(3)]
                model, moto = both.call("SendMessageBatch", {"Entries": entries})
                assert [e["Id"] for e in model[1]["Successful"]] == [e["Id"] for e in moto[1]["Successful"]]
            case "receive":
                model_bodies, moto_bodies = both.receive(10)
                assert model_bodies == moto_bodies
            case "delete" if both.handles:
                model, moto = both.call_with_handle("DeleteMessage", random.choice(list(both.handles)), {})
                assert (model[0], moto[0]) == ("", "")
            case "give back" if both.handles:
                payload = {"VisibilityTimeout": 0}
                model, moto = both.call_with_handle(
                    "ChangeMessageVisibility", random.choice(list(both.handles)), payload
                )
                assert (model[0], moto[0]) == ("", "")
            case "wrong":
                wrong: Call = random.choice(
                    (
                        ("SendMessage", {"MessageBody": "late", "DelaySeconds": 901}),
                        ("ReceiveMessage", {"MaxNumberOfMessages": 11}),
                        ("SendMessageBatch", {"Entries": [{"Id": str(n), "MessageBody": "b"} for n in range(11)]}),
                        ("SendMessageBatch", {"Entries": []}),
                    )
                )
                model, moto = both.call(*wrong)
                assert model[0], wrong
                assert moto[0], wrong
    dead_in_model, dead_in_moto = both.receive(10, dead=True)
    assert dead_in_model == dead_in_moto


# ---- SSM ----


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_the_parameter_store_answers_as_moto_does(aws: Aws, number: int) -> None:
    random = Random(f"ssm {number}")  # noqa: S311 - it has to be repeatable
    names = [f"/app/{folder}/{name}" for folder in ("a", "a/b", "c") for name in ("one", "two", "three", "four")]
    model = Parameters({})
    for step in range(LENGTH):
        name, chance = random.choice(names), random.random()
        payload: dict[str, Any]
        if chance < 0.4:
            operation, payload = "PutParameter", {"Name": name, "Value": f"value {step}", "Type": "SecureString"}
            payload |= {"Overwrite": True} if random.random() < 0.5 else {}
        elif chance < 0.6:
            operation, payload = "GetParameters", {"Names": random.sample(names, random.randint(1, 11))}
        elif chance < 0.7:
            operation, payload = "GetParameter", {"Name": name}
        else:
            path = random.choice(("/app", "/app/a", "/app/c", "/app/none", "/app/a/"))
            payload = {"Path": path, "Recursive": random.random() < 0.5, "MaxResults": random.randint(1, 10)}
            operation = "GetParametersByPath"
        payload |= {"WithDecryption": True} if operation != "PutParameter" else {}
        if operation == "GetParametersByPath":
            assert pages(lambda p: of_model(model.request, "GetParametersByPath", p), payload) == pages(
                lambda p: of_service(aws, "ssm", "GetParametersByPath", p), payload
            )
            continue
        code, body = of_model(model.request, operation, payload)
        other_code, other = of_service(aws, "ssm", operation, payload)
        assert code == other_code, (operation, payload)
        assert values(body) == values(other)
        assert sorted(body.get("InvalidParameters", ())) == sorted(other.get("InvalidParameters", ()))


def values(body: Mapping[str, Any]) -> dict[str, str]:
    parameters = [*body.get("Parameters", ()), *([body["Parameter"]] if "Parameter" in body else ())]
    return {parameter["Name"]: parameter["Value"] for parameter in parameters}


def pages(ask: Callable[[Mapping[str, Any]], Answer], payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of all pages: how many are on each is up to the service."""
    everything: dict[str, str] = {}
    token: dict[str, str] = {}
    while True:
        code, body = ask({**payload, **token})
        assert not code
        everything |= values(body)
        if "NextToken" not in body:
            return everything
        token = {"NextToken": body["NextToken"]}
