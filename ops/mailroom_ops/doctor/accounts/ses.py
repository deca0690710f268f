"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html"""

from collections.abc import Iterator, Mapping

from mailroom_ops.domains.ses import Ses
from mailroom_ops.environment import Environment, aws_says
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

NEARLY = 0.8
PRODUCTION = "https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html"


def check(account: str, environment: Environment, values: Mapping[str, str]) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    ses = Ses(account, environment, values)
    try:
        found = ses.client.get_account()
        if name := values.get("configuration_set", "").strip():
            ses.client.get_configuration_set(ConfigurationSetName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise aws_says(error) from error
        setting = f"providers/{account}/configuration_set"
        yield failed(account, f"has no configuration set {name}", f"Make it, or change {setting}.")
        return
    except BotoCoreError as error:
        raise aws_says(error) from error
    where = f"{account} in {ses.region}"
    if not found.get("SendingEnabled", True) or found.get("EnforcementStatus") == "SHUTDOWN":
        yield failed(where, "may not send: AWS has paused it", "Open a support case in the console of SES.")
    elif found.get("EnforcementStatus") == "PROBATION":
        yield warning(where, "is under review, for bounces or complaints", "See the account dashboard of SES.")
    elif not found.get("ProductionAccessEnabled"):
        yield failed(
            where, "is in the sandbox: mail reaches only addresses verified there", f"Ask for more: {PRODUCTION}"
        )
    else:
        yield ok(where, "may send to everybody")
    quota = found.get("SendQuota", {})
    most, sent = float(quota.get("Max24HourSend", -1)), float(quota.get("SentLast24Hours", 0))
    if most > 0:
        says = f"{sent:,.0f} of {most:,.0f} mails a day are sent, {quota.get('MaxSendRate', 0):,.0f} a second at most"
        yield warning(where, says, "Ask for a higher quota.") if sent >= NEARLY * most else ok(where, says)
