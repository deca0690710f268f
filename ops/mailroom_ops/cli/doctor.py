"""`mailroom doctor`"""

import json
from dataclasses import replace

import click

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, resolver, yes
from mailroom_ops.doctor import AREAS
from mailroom_ops.environment import Environment

FORMER_NAMES = {"doors": "endpoints"}  # scripts may still use them


class Area(click.Choice[str]):
    """An area by its current or its former name."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(FORMER_NAMES.get(value, value), param, ctx)


@click.command(
    cls=Command,
    examples=(
        ("run all checks, send no mail", "mailroom doctor --env staging"),
        (
            "send a real mail and follow it to the mailbox",
            "mailroom doctor --env staging --send-test-to you@example.com",
        ),
        (
            "after a deployment, fail unless a test mail is delivered",
            "mailroom doctor --env staging --send-test-to simulator --require-delivery",
        ),
        ("in CI, fail for warnings as well", "mailroom doctor --env staging --strict --json"),
        ("run some of the checks", "mailroom doctor --env staging --only queues --only endpoints"),
    ),
)
@in_environment
@click.option("--only", "areas", multiple=True, type=Area(AREAS), help="Check this area only; repeatable.")
@click.option(
    "--send-test-to",
    "address",
    metavar="ADDRESS",
    help="Send a real mail with the code 000000; `simulator` is the address that the provider has for tests.",
)
@click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Tenant of the test mail.")
@click.option("--wait", default=60.0, show_default=True, metavar="SECONDS", help="How long to follow the test mail.")
@click.option("--require-delivery", is_flag=True, help="Exit with 1 unless the test mail is delivered.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings as well.")
@resolver
@yes
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    environment: Environment,
    areas: tuple[str, ...],
    address: str | None,
    tenant: str,
    wait: float,
    require_delivery: bool,
    strict: bool,
    servers: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Check everything that mail delivery depends on.

    The stack, its settings, the providers' keys and quotas, DNS, the endpoints and the queues. Changes nothing.
    Exits with 1 if a check failed.
    """
    from mailroom_ops import doctor
    from mailroom_ops.cli import findings, screen
    from mailroom_ops.doctor import testmail
    from mailroom_ops.domains.dns import Dns
    from mailroom_ops.errors import InvalidInput, OperatorError
    from mailroom_ops.finding import Level, failed

    if require_delivery and not address:
        raise InvalidInput("--require-delivery needs a test mail.", "Add --send-test-to simulator, or an address.")
    if address:
        confirm_production(environment, f"Send a real mail from {environment.label}?", yes)
    context = doctor.Context(environment, Dns(servers), check_dns=bool(servers) or not environment.is_local)
    results = []
    last = ""
    for area, finding in doctor.run_checks(context, areas or AREAS):
        results.append((area, finding))
        if not as_json:
            if area != last:
                screen.emit(("\n" if last else "") + screen.colored(area, "bright_blue", bold=True))
                last = area
            findings.line(finding)
    if address:
        try:
            delivery = list(testmail.send(context, address, tenant, wait))
        except OperatorError as error:
            delivery = [failed(testmail.SUBJECT, error.sentence, error.todo)]
        if require_delivery:
            delivery = [replace(f, level=Level.FAILED) if f.level is Level.WARNING else f for f in delivery]
        results += [(testmail.SUBJECT, finding) for finding in delivery]
        if not as_json:
            screen.emit("\n" + screen.colored(testmail.SUBJECT, "bright_blue", bold=True))
            for finding in delivery:
                findings.line(finding)
    levels = {finding.level for _, finding in results}
    bad = {Level.FAILED, Level.WARNING} if strict else {Level.FAILED}
    if as_json:
        report = [{"area": area, **finding.to_json()} for area, finding in results]
        screen.emit(json.dumps({"environment": environment.label, "findings": report}, ensure_ascii=False))
    else:
        findings.sum_up(finding for _, finding in results)
    ctx.exit(1 if levels & bad else 0)
