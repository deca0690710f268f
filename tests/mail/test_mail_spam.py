"""SpamAssassin judges the full MIME of every kind in every language, with the rules that need no network."""

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest

from mailroom.model.email import Email
from mailroom_ops.templates.checks import SpamReport, check_spam, missing_spam_tools
from mailroom_ops.templates.preview import SENDER, Gallery, sample, sample_brand
from tests.mail.samples import Sample

TOKEN = urlsafe_b64encode(b"".join(sha256(bytes([n])).digest() for n in range(20))).decode()
MOST = 0.5
MOST_OF_ONE_RULE = 0.1
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

pytestmark = pytest.mark.skipif(missing_spam_tools() != "", reason=missing_spam_tools())


@pytest.mark.thorough
def test_spamassassin_gives_no_points_in_any_language(every_mail, record_property):
    verdicts = check_spam(dict(every_mail))
    assert len(verdicts) == len(every_mail)
    record_property("table", _table(every_mail, verdicts))
    assert {name: verdict for name, verdict in verdicts.items() if verdict.points > MOST} == {}
    rules = {rule: points for verdict in verdicts.values() for rule, points in verdict.rules.items()}
    assert {rule: points for rule, points in rules.items() if points > MOST_OF_ONE_RULE} == {}


@pytest.mark.thorough
def test_spamassassin_gives_no_points_to_any_shape_of_a_mail(every_shape, with_logo):
    left_to_right = {
        name: email for name, email in every_shape + with_logo if ".ar." not in name and ".de." not in name
    }
    assert {name: verdict for name, verdict in check_spam(left_to_right).items() if verdict.points > MOST} == {}


@pytest.mark.thorough
def test_spamassassin_gives_no_points_to_a_notice_about_an_event(every_notice):
    assert {name: verdict for name, verdict in check_spam(dict(every_notice)).items() if verdict.points > MOST} == {}


@pytest.mark.thorough
def test_spamassassin_gives_no_points_to_a_realistic_link(gallery):
    mails = with_link(gallery, f"https://app.example.com/verify?token={TOKEN[:90]}")
    assert {name: verdict for name, verdict in check_spam(mails).items() if verdict.points > MOST} == {}


@pytest.mark.thorough
def test_a_very_long_link_costs_a_point_in_cyrillic_mails_only(gallery):
    verdicts = check_spam(with_link(gallery, f"https://app.example.com/verify?type=signup&token={TOKEN[:340]}"))
    hits = {name.partition(".")[2] for name, verdict in verdicts.items() if verdict.points > MOST}
    assert hits <= {"bg", "ru", "sr", "uk-UA"}
    assert max(verdict.points for verdict in verdicts.values()) <= 1


def with_link(gallery: Gallery, link: str) -> dict[str, Email]:
    """Return mails with a link, as a provider of identities makes it, in every language."""
    assert gallery.renderer
    kinds = ("password-reset", "email-confirmation", "organization-invitation")
    samples = {f"{kind}.{locale}": sample(kind, locale) for kind in kinds for locale in gallery.renderer.locales}
    return {
        name: gallery.renderer.render(
            replace(mail, data={**mail.data, "link": link}), SENDER, sample_brand("acme", name.partition(".")[2])
        )
        for name, mail in samples.items()
    }


def test_spamassassin_recognizes_spam(every_mail):
    name, email = every_mail[0]
    assert check_spam({name: replace(email, text=GTUBE, html=f"<p>{GTUBE}</p>")})[name].points > 100


def _table(samples: list[Sample], verdicts: Mapping[str, SpamReport]) -> str:
    kinds = list(dict.fromkeys(name.partition(".")[0] for name, _ in samples))
    locales = list(dict.fromkeys(name.partition(".")[2] for name, _ in samples))
    rules = Counter(rule for verdict in verdicts.values() for rule in verdict.rules)
    lines = ["SpamAssassin, offline rules: the points of each kind in each language"]
    lines += [f"{'':8}" + "".join(f"{kind[:11]:>12}" for kind in kinds)]
    for locale in locales:
        points = "".join(f"{verdicts[f'{kind}.{locale}'].points:12.3f}" for kind in kinds)
        lines.append(f"{locale:8}{points}")
    hit = ", ".join(f"{rule} ({count})" for rule, count in rules.most_common())
    return "\n".join([*lines, f"rules hit: {hit}"])
