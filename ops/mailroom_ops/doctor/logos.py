"""Check the logos of brands from this machine: can they be reached, and do mail clients show them well?"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from mailroom.model.json_settings import json_object
from mailroom.providers import NAMES, kind_of, spec_of
from mailroom_ops.doctor import Context
from mailroom_ops.errors import ServiceError
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.settings import tenants
from mailroom_ops.templates.logo_download import download
from mailroom_ops.templates.logo_files import inline_logos, judge_logos
from mailroom_ops.templates.picture import judge, read_picture
from mailroom_ops.templates.preview import TEMPLATES

__all__ = ["check", "check_logo"]

MAX_CONCURRENT_CHECKS = 8
PURPOSES = ("auth", "notification")


def check(context: Context) -> Iterator[Finding]:
    """Check every logo once, whatever number of tenants have it."""
    brands: dict[str, Mapping[str, object]] = {
        name.partition("/")[2]: json_object(value) or {}
        for name, value in context.values.items()
        if name.startswith("brands/")
    }
    logos = {
        (url, key): name
        for name, brand in reversed(brands.items())
        for key in ("logo_url", "dark_logo_url")
        if isinstance(url := brand.get(key), str) and url
    }
    if not logos:
        yield ok("logos", "no brand has one")
    for name, brand in brands.items():
        if brand.get("inline_logo") in (True, "true"):
            yield from _check_inline(context, name, brand)
    with ThreadPoolExecutor(MAX_CONCURRENT_CHECKS) as pool:
        checks = [pool.submit(_check, name, key, brands[name]) for (_, key), name in logos.items()]
        for finding in checks:
            yield finding.result()


def _check_inline(context: Context, tenant: str, brand: Mapping[str, object]) -> Iterator[Finding]:
    """Check the logos inside a tenant's mails, and whether its providers can send them."""
    files = inline_logos(tenant, context.values, TEMPLATES)
    if not files:
        todo = f"Store it: mailroom templates logos --tenant {tenant} --env {context.environment.label}"
        yield warning(f"brands/{tenant} inline_logo", "is on, and no logo is stored: mails have the remote one", todo)
    yield from judge_logos(files, f"{tenant} ")
    chains = (tenants.chain_of(context.values, tenant, use, context.environment.chain) for use in PURPOSES)
    for account in dict.fromkeys(account for chain in chains for account in chain):
        if kind_of(account) in NAMES and not spec_of(account).inline_images:
            state = f"{account} sends no pictures inside mails"
            if brand.get("logo_url"):
                yield warning(f"brands/{tenant} inline_logo", f"{state}: its mails have the remote logo")
            else:
                yield warning(f"brands/{tenant} inline_logo", f"{state}: its mails have none", "Set logo_url as well.")


def _check(tenant: str, key: str, brand: Mapping[str, object]) -> Finding:
    has_dark = bool(brand.get("dark_logo_url"))
    subject = f"brands/{tenant} {key}"
    return check_logo(subject, str(brand[key]), is_for_dark=key == "dark_logo_url", has_dark=has_dark)


def check_logo(subject: str, url: str, *, is_for_dark: bool, has_dark: bool) -> Finding:
    """Load a logo as a mail client does, and return what is wrong with it."""
    try:
        content = download(url)
    except ServiceError as error:
        return failed(subject, error.sentence, error.todo)
    picture = read_picture(content)
    if picture is None:
        return failed(subject, f"is no picture: {url}", "Use the address of a PNG or JPEG.")
    return judge(subject, picture, len(content), is_for_dark=is_for_dark, has_dark=has_dark)
