"""`mailroom doctor`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, resolver, yes
from mailroom_ops.doctor import AREAS
from mailroom_ops.environment import Environment

FORMER_NAMES = {"doors": "endpoints"}  # scripts may still use them


class Area(click.Choice[str]):
    """An area by its name, or by the one that it had before."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(FORMER_NAMES.get(value, value), param, ctx)


@click.command(
    cls=Command,
    examples=(
        ("everything, without sending a mail", "mailroom doctor --env staging"),
        ("with a real mail, followed to its provider", "mailroom doctor --env staging --send-test-to you@example.com"),
        ("in CI: warnings count, too", "mailroom doctor --env staging --strict --json"),
        ("some of it", "mailroom doctor --env staging --only queues --only endpoints"),
    ),
)
@in_environment
@click.option("--only", "areas", multiple=True, type=Area(AREAS), help="Look at this area alone; several, if need be.")
@click.option("--send-test-to", "address", metavar="ADDRESS", help="Send a real mail there, with the code 000000.")
@click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Whose mail that is.")
@click.option("--wait", default=60.0, show_default=True, metavar="SECONDS", help="How long to follow it.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
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
    strict: bool,
    servers: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Check all that has to be right for mail to arrive.

    The stack, its settings, the providers' keys and quotas, DNS, the endpoints and the queues. It changes nothing.
    Exits with 1 if something failed.
    """
    from mailroom_ops import doctor
    from mailroom_ops.cli import findings, screen
    from mailroom_ops.doctor import testmail
    from mailroom_ops.domains.dns import Dns
    from mailroom_ops.errors import OperatorError
    from mailroom_ops.finding import Level, failed

    if address:
        confirm_production(environment, f"Send a real mail from {environment.label}?", yes)
    context = doctor.Context(environment, Dns(servers), check_dns=bool(servers) or not environment.is_local)
    found = []
    last = ""
    for area, one in doctor.run_checks(context, areas or AREAS):
        found.append((area, one))
        if not as_json:
            if area != last:
                screen.emit(("\n" if last else "") + screen.colored(area, "bright_blue", bold=True))
                last = area
            findings.line(one)
    if address:
        try:
            tried = list(testmail.send(context, address, tenant, wait))
        except OperatorError as problem:
            tried = [failed(testmail.SUBJECT, problem.sentence, problem.todo)]
        found += [(testmail.SUBJECT, one) for one in tried]
        if not as_json:
            screen.emit("\n" + screen.colored(testmail.SUBJECT, "bright_blue", bold=True))
            for one in tried:
                findings.line(one)
    levels = {one.level for _, one in found}
    bad = {Level.FAILED, Level.WARNING} if strict else {Level.FAILED}
    if as_json:
        report = [{"area": area, **one.to_json()} for area, one in found]
        screen.emit(json.dumps({"environment": environment.label, "findings": report}, ensure_ascii=False))
    else:
        findings.sum_up(one for _, one in found)
    ctx.exit(1 if levels & bad else 0)
