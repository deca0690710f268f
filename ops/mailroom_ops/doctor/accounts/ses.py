"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html"""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.domains.ses import Ses
from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

WARN_FROM_SHARE = 0.8
PRODUCTION_ACCESS = "https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html"


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    if environment.is_local:
        yield ok(account, "is sent through its sandbox")
        return
    ses = Ses(account, environment, values)
    try:
        state = ses.client.get_account()
        if name := values.get("configuration_set", "").strip():
            ses.client.get_configuration_set(ConfigurationSetName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise aws_error(error) from error
        setting = f"providers/{account}/configuration_set"
        yield failed(account, f"has no configuration set {name}", f"Create it, or change {setting}.")
        return
    except BotoCoreError as error:
        raise aws_error(error) from error
    yield from _endpoint(ses, values.get("endpoint_id", "").strip())
    subject = f"{account} in {ses.region}"
    if not state.get("SendingEnabled", True) or state.get("EnforcementStatus") == "SHUTDOWN":
        yield failed(subject, "may not send: AWS has paused it", "Open a support case in the console of SES.")
    elif state.get("EnforcementStatus") == "PROBATION":
        yield warning(subject, "is under review, for bounces or complaints", "See the account dashboard of SES.")
    elif not state.get("ProductionAccessEnabled"):
        todo = f"Request production access: {PRODUCTION_ACCESS}"
        yield failed(subject, "is in the sandbox: only verified addresses get mail", todo)
    else:
        yield ok(subject, "has production access")
    quota = state.get("SendQuota", {})
    maximum, sent = float(quota.get("Max24HourSend", -1)), float(quota.get("SentLast24Hours", 0))
    if maximum > 0:
        usage = f"{sent:,.0f} of {maximum:,.0f} mails a day used, {quota.get('MaxSendRate', 0):,.0f} a second at most"
        is_nearly_used = sent >= WARN_FROM_SHARE * maximum
        yield warning(subject, usage, "Request a higher quota.") if is_nearly_used else ok(subject, usage)


def _endpoint(ses: Ses, endpoint_id: str) -> Iterator[Finding]:
    """Check the multi-region endpoint of an account, which belongs to one of its two regions."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not endpoint_id:
        return
    try:
        endpoints = ses.client.list_multi_region_endpoints(PageSize=1000)["MultiRegionEndpoints"]
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error
    endpoint = next((each for each in endpoints if each["EndpointId"] == endpoint_id), None)
    subject = f"{ses.account} endpoint {endpoint_id}"
    if endpoint is None:
        setting = f"providers/{ses.account}/endpoint_id"
        yield failed(subject, f"is no multi-region endpoint of {ses.region}", f"Create it there, or change {setting}.")
    elif endpoint["Status"] != "READY":
        yield failed(subject, f"is not ready: {endpoint['Status'].lower()}", "See its global endpoints in SES.")
    else:
        yield ok(subject, f"is ready, in {' and '.join(endpoint['Regions'])}")
