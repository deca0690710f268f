"""The handler of bench/burst.py: the deliver function, with its time of waiting for AWS, provider and rate limit."""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import app  # type: ignore[import-not-found]  # functions/deliver/app.py: the runtime starts in its folder
from aws_lambda_powertools import Logger

from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.delivery.deliver import Delivery
from mailroom.providers import _client as provider_client

Result = TypeVar("Result")

spent: defaultdict[str, float] = defaultdict(float)


def timed(name: str, work: Callable[..., Result]) -> Callable[..., Result]:
    def watched(*args: Any, **kwargs: Any) -> Result:
        began = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - began

    return watched


def handler(event: dict[str, Any], context: Any) -> Any:
    spent.clear()
    cpu = time.process_time()
    answer = work(event, context)
    spent["cpu"] += time.process_time() - cpu
    print(json.dumps({"bench": spent}), flush=True)
    return answer


aws = Aws.from_env()
aws.call = timed("aws", aws.call)  # type: ignore[method-assign]
delivery = Delivery.from_env(aws)
delivery.dispatch.sleep = timed("held back", delivery.dispatch.sleep)
provider_client.post = timed("provider", provider_client.post)
work = timed("wall", app.build(delivery, Logger(), Metrics()))
