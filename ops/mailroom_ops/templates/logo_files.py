"""A tenant's logo files, beside its templates: read from pictures, and judged before they are stored."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from mailroom.rendering.inline_logos import MAX_LOGO_BYTES, usable_logos
from mailroom.rendering.tenant_templates import LOGO_FILES, read_files
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.finding import Finding
from mailroom_ops.templates.logo_download import download
from mailroom_ops.templates.picture import judge, read_picture
from mailroom_ops.templates.tenant_samples import stored_files

__all__ = ["brand_logos", "file_size", "inline_logos", "judge_logos", "logo_file", "without_logos"]

SUFFIXES = {"PNG": "png", "JPEG": "jpg"}
ADDRESSES = {"logo": "logo_url", "logo-dark": "dark_logo_url"}  # of a brand, by the stem of the file


def brand_logos(brand: Mapping[str, str]) -> dict[str, str]:
    """Return the logos at a brand's addresses as files; raise an OperatorError for one that mails cannot contain."""
    files: dict[str, str] = {}
    for stem, key in ADDRESSES.items():
        if url := brand.get(key):
            try:
                content = download(url)
            except ServiceError as error:
                raise ServiceError(f"{key} {error.sentence}.", error.todo) from error
            files |= logo_file(stem, content, url)
    return files


def logo_file(stem: str, content: bytes, origin: str) -> dict[str, str]:
    """Return a picture as a tenant's file; raise InvalidInput for one that mails cannot contain."""
    picture = read_picture(content)
    if picture is None or picture.format not in SUFFIXES:
        state = f"is a {picture.format}" if picture else "is no picture"
        raise InvalidInput(f"{origin} {state}: mails can contain a PNG or a JPEG.", "Convert it to a PNG.")
    if len(content) > MAX_LOGO_BYTES:
        size = f"{len(content) / 1000:.0f} kB, and mails have room for {MAX_LOGO_BYTES // 1000}"
        raise InvalidInput(f"{origin} has {size}.", "108 pixels of height, and as few colors as it has, are enough.")
    return {f"{stem}.{SUFFIXES[picture.format]}": b64encode(content).decode()}


def inline_logos(tenant: str, values: Mapping[str, str], templates: Path) -> dict[str, str]:
    """Return the logos inside a tenant's mails: those of the templates layer, and the stored ones that replace them."""
    files = {**read_files(templates / "tenants" / tenant), **stored_files(tenant, values)}
    logos, _ = usable_logos({name: content for name, content in files.items() if name in LOGO_FILES})
    return logos


def judge_logos(files: Mapping[str, str], subject: str = "") -> list[Finding]:
    """Return a finding about each logo among a tenant's usable files."""
    has_dark = any(name.startswith("logo-dark.") for name in files)
    findings = []
    for name in LOGO_FILES:
        if name in files and (picture := read_picture(content := b64decode(files[name]))):
            is_for_dark = name.startswith("logo-dark.")
            findings.append(judge(subject + name, picture, len(content), is_for_dark=is_for_dark, has_dark=has_dark))
    return findings


def without_logos(files: Mapping[str, str]) -> dict[str, str]:
    """Return a tenant's templates and texts."""
    return {name: content for name, content in files.items() if name not in LOGO_FILES}


def file_size(name: str, content: str) -> int:
    """Return the bytes of a tenant's file."""
    return len(b64decode(content) if name in LOGO_FILES else content.encode())
