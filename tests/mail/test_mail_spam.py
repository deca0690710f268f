"""SpamAssassin judges the full MIME of every kind in every language, with the rules that need no network."""

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from mailroom.message import new_id
from mailroom.providers._mime import compose
from tests.mail.conftest import Sample

JUDGE = Path(__file__).with_name("spam.pl")
MOST = 0.5
MOST_OF_ONE_RULE = 0.1
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

pytestmark = pytest.mark.skipif(
    which("spamassassin") is None, reason="needs SpamAssassin: apt-get install spamassassin"
)


def judge(samples: list[Sample], folder: Path) -> dict[str, tuple[float, dict[str, float]]]:
    """Return each mail's score, and the score of each rule it hit."""
    for name, email in samples:
        (folder / name).write_bytes(compose(email, new_id(), {}))
    names = "".join(f"{folder / name}\n" for name, _ in samples)
    done = subprocess.run(
        ["perl", JUDGE, folder], input=names, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    verdicts = {}
    for line in done.stdout.splitlines():
        path, score, rules = line.split("\t")
        hits = dict(hit.split("=") for hit in rules.split())
        verdicts[Path(path).name] = float(score), {rule: float(points) for rule, points in hits.items()}
    assert len(verdicts) == len(samples)
    return verdicts


def test_no_mail_looks_like_spam_in_any_language(every_mail, tmp_path, capsys):
    verdicts = judge(every_mail, tmp_path)
    rules = Counter(rule for _, hits in verdicts.values() for rule in hits)
    with capsys.disabled():
        _print_table(every_mail, verdicts, rules)
    assert {name: verdict for name, verdict in verdicts.items() if verdict[0] > MOST} == {}
    assert {
        rule for _, hits in verdicts.values() for rule, points in hits.items() if points > MOST_OF_ONE_RULE
    } == set()


def test_no_shape_of_a_mail_looks_like_spam(every_shape, tmp_path):
    english = [sample for sample in every_shape if ".en.bright." in sample.name]
    assert {name: verdict for name, verdict in judge(english, tmp_path).items() if verdict[0] > MOST} == {}


def test_the_judge_knows_spam_when_it_sees_it(every_mail, tmp_path):
    name, email = every_mail[0]
    spam = Sample(name, replace(email, text=GTUBE, html=f"<p>{GTUBE}</p>"))
    assert judge([spam], tmp_path)[name][0] > 100


def _print_table(
    samples: list[Sample], verdicts: dict[str, tuple[float, dict[str, float]]], rules: Counter[str]
) -> None:
    kinds = list(dict.fromkeys(name.partition(".")[0] for name, _ in samples))
    locales = list(dict.fromkeys(name.partition(".")[2] for name, _ in samples))
    print("\n\nSpamAssassin, offline rules; the points of each kind in each language")
    print(f"{'':8}" + "".join(f"{kind[:11]:>12}" for kind in kinds))
    for locale in locales:
        print(f"{locale:8}" + "".join(f"{verdicts[f'{kind}.{locale}'][0]:12.3f}" for kind in kinds))
    print("rules hit:", ", ".join(f"{rule} ({count})" for rule, count in rules.most_common()))
