"""Import of an older system's passwords.yaml or .env: the resulting parameters, and faulty files."""

import json
from pathlib import Path

import pytest

from tests.cli.helpers import Stored
from tests.command import Run

KEY = "re_9f8e7d6c5b4a_staging"
PASSWORD = "correct horse battery"
PASSWORDS = f"""\
# the auth server's secrets
database:
  url: postgres://db.example/auth
development:
  resendApiKey: re_1a2b3c4d5e6f_development
staging:
  jwtSecret: 0123456789abcdef
  resendApiKey: {KEY}
  resendFromEmail: no-reply@auth.example.com
production:
  smtpHost: smtp.example.com
  smtpPort: 465
  smtpUsername: mailer
  smtpPassword: {PASSWORD}
  smtpTls: true
  smtpFrom: Acme <no-reply@auth.example.com>
"""
DOTENV = f"""\
# platform
DATABASE_URL="postgres://${{DB_HOST}}/app"
export RESEND_API_KEY={KEY} # sending only
RESEND_FROM_APP_AUTH="Your App <no-reply@auth.example.com>"
"""


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "passwords.yaml"
    path.write_text(PASSWORDS)
    return path


def test_a_block_becomes_the_parameters_of_its_environment(run: Run, passwords: Path, staging: Stored) -> None:
    done = run("secrets", "import", str(passwords), "--env", "staging", "--yes")
    assert done.code == 0
    values = staging.values()
    assert values["providers/resend/api_key"] == KEY
    assert json.loads(values["senders/default/auth"]) == {"from": "no-reply@auth.example.com"}
    assert set(values) == {"providers/resend/api_key", "senders/default/auth"}
    assert staging.types() == {"providers/resend/api_key": True, "senders/default/auth": False}


def test_smtp_settings_become_a_relay_and_a_provider_chain(run: Run, passwords: Path, production: Stored) -> None:
    assert run("secrets", "import", str(passwords), "--env", "production", "--yes").code == 0
    values = production.values()
    relay = {name.rpartition("/")[2]: value for name, value in values.items() if name.startswith("providers/smtp/")}
    expected = {
        "host": "smtp.example.com",
        "port": "465",
        "username": "mailer",
        "password": PASSWORD,
        "tls": "implicit",
    }
    assert relay == expected
    sender = json.loads(values["senders/default/auth"])
    assert sender == {"from": "Acme <no-reply@auth.example.com>", "providers": ["smtp"]}


def test_all_imports_every_environment_of_the_file(
    run: Run, passwords: Path, staging: Stored, production: Stored
) -> None:
    assert run("secrets", "import", str(passwords), "--env", "all", "--yes").code == 0
    assert KEY in staging.values().values()
    assert Stored("development").values() == {"providers/resend/api_key": "re_1a2b3c4d5e6f_development"}
    assert "providers/smtp/host" in production.values()


def test_a_dotenv_file_is_imported_into_one_environment(run: Run, tmp_path: Path, staging: Stored) -> None:
    path = tmp_path / ".env"
    path.write_text(DOTENV)
    assert run("secrets", "import", str(path), "--env", "staging", "--yes").code == 0
    values = staging.values()
    assert values["providers/resend/api_key"] == KEY
    assert json.loads(values["senders/default/auth"])["from"] == "Your App <no-reply@auth.example.com>"
    refused = run("secrets", "import", str(path), "--env", "all", "--yes")
    assert refused.code == 2
    assert "does not name it" in refused.text


def test_a_dry_run_shows_names_and_lengths_but_no_secret(run: Run, passwords: Path, staging: Stored) -> None:
    done = run("secrets", "import", str(passwords), "--env", "all", "--dry-run")
    assert done.code == 0
    assert "+ providers/resend/api_key" in done.out
    assert f"secret, {len(KEY)} characters" in done.out
    assert "from: no-reply@auth.example.com" in done.out
    assert "1 other key is ignored: not about mail" in done.out
    for secret in (KEY, PASSWORD, "re_1a2b3c4d5e6f_development", "0123456789abcdef"):
        assert secret not in done.out + done.err
    assert staging.values() == {}


def test_a_second_import_changes_nothing(run: Run, passwords: Path, staging: Stored) -> None:
    run("secrets", "import", str(passwords), "--env", "staging", "--yes")
    again = run("secrets", "import", str(passwords), "--env", "staging")
    assert again.code == 0
    assert "Nothing to change." in again.out
    assert "= providers/resend/api_key" in again.out
    listed = json.loads(run("secrets", "list", "--env", "staging", "--json").out)
    assert {item["version"] for item in listed} == {1}


def test_an_import_keeps_the_other_settings_of_a_sender(run: Run, passwords: Path, staging: Stored) -> None:
    staging.put(
        senders__default__auth='{"from": "old@example.com", "reply_to": "help@example.com", "providers": ["ses"]}'
    )
    done = run("secrets", "import", str(passwords), "--env", "staging", "--yes")
    sender = json.loads(staging.values()["senders/default/auth"])
    assert sender == {"from": "no-reply@auth.example.com", "reply_to": "help@example.com", "providers": ["ses"]}
    assert "resend is set, but senders/default/auth sends through ses only" in done.text


def test_an_import_requires_a_confirmation(run: Run, passwords: Path, staging: Stored) -> None:
    refused = run("secrets", "import", str(passwords), "--env", "staging")
    assert refused.code == 4
    assert "--yes" in refused.text
    assert staging.values() == {}


def test_a_key_shared_by_two_environments_is_a_warning(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "passwords.yaml"
    path.write_text(f"staging:\n  resendApiKey: {KEY}\nproduction:\n  resendApiKey: {KEY}\n")
    done = run("secrets", "import", str(path), "--env", "all", "--dry-run")
    assert "staging and production share one providers/resend/api_key" in done.text


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("staging.resendApiKey: {key}", id="flat"),
        pytest.param("staging:\n  RESEND_API_KEY: {key}", id="upper"),
        pytest.param("staging:\n  resend-api-key: '{key}'", id="dashes"),
        pytest.param("staging:\n  resend:\n    apiKey: {key}", id="nested"),
        pytest.param("staging:\n  email:\n    resend: {{apiKey: {key}}}", id="nested-deeply"),
        pytest.param("\ufeffstaging:\r\n  resendApiKey: {key}\r\n", id="windows"),
        pytest.param('{{"staging": {{"resendApiKey": "{key}"}}}}', id="json"),
    ],
)
def test_a_key_is_found_in_each_of_its_spellings(run: Run, tmp_path: Path, staging: Stored, block: str) -> None:
    path = tmp_path / "passwords.yml"
    path.write_text(block.format(key=KEY), newline="")
    assert run("secrets", "import", str(path), "--env", "staging", "--yes").code == 0
    assert staging.values()["providers/resend/api_key"] == KEY


@pytest.mark.parametrize(
    ("port", "flag", "expected"),
    [
        ("465", "true", "implicit"),
        ("587", "yes", "starttls"),
        ("587", "'STARTTLS'", "starttls"),
        ("2525", "ssl", "implicit"),
        ("587", "false", "opportunistic"),
        ("25", "none", "none"),
    ],
)
def test_a_tls_flag_is_translated_for_its_port(
    run: Run, tmp_path: Path, staging: Stored, port: str, flag: str, expected: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"staging:\n  smtp: {{host: smtp.example.com, port: {port}, tls: {flag}}}\n")
    assert run("secrets", "import", str(path), "--env", "staging", "--yes").code == 0
    assert staging.values()["providers/smtp/tls"] == expected


FAULTS = {
    "a tab": ("staging:\n\tresendApiKey: re_secret_tab", "line 2, column 1: a tab"),
    "a tab further on": ("a: 1\nstaging:\n  x: 1\n\ty: 2", "line 4, column 1: a tab"),
    "no such environment": ("development:\n  resendApiKey: re_secret_other", "no block for staging"),
    "no environment": ("resendApiKey: re_secret_flat", "none of the blocks"),
    "a block that is a text": ("staging: re_secret_text", "must be a block"),
    "a block that is a list": ("staging:\n  - re_secret_list", "must be a block"),
    "a number": ("staging:\n  resendApiKey: 12345678901234567", "line 2: resendApiKey reads as a number"),
    "a date": (
        "staging:\n  smtpHost: h.example\n  smtpPassword: 2026-01-01",
        "line 3: smtpPassword reads as a timestamp",
    ),
    "Norway": ("staging:\n  smtpHost: h.example\n  smtpUsername: no", "line 3: smtpUsername reads as true or false"),
    "a port that is none": ("staging:\n  smtpHost: h.example\n  smtpPort: 587a", "line 3: smtpPort must be a number"),
    "a sexagesimal port": ("staging:\n  smtpHost: h.example\n  smtpPort: 9:47", "line 3: smtpPort must be a number"),
    "a port out of range": ("staging:\n  smtpHost: h.example\n  smtpPort: 70000", "line 3: smtpPort must be a number"),
    "a TLS flag that is none": ("staging:\n  smtpHost: h.example\n  smtpTls: perhaps", "line 3: smtpTls must be true"),
    "two addresses": ("staging:\n  resendFromEmail: a@example.com, b@example.com", "line 2: resendFromEmail is not a"),
    "a key twice": (
        "staging:\n  resendApiKey: re_secret_one\n  resendApiKey: re_secret_two",
        "line 3: resendApiKey stands twice, first in line 2",
    ),
    "a key in two spellings": (
        "staging:\n  resendApiKey: re_secret_one\n  RESEND_API_KEY: re_secret_two",
        "line 3: RESEND_API_KEY sets the same as resendApiKey in line 2",
    ),
    "an environment twice": ("staging:\n  a: b\nstaging:\n  a: b", "line 3: staging stands twice, first in line 1"),
    "an anchor": ("staging: &s\n  resendApiKey: re_secret_anchor", "line 1: an anchor, &s"),
    "an alias": ("base: &b {resendApiKey: re_secret_alias}\nstaging:\n  <<: *b", "line 3: an alias, *b"),
    "a bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nstaging:\n  resendApiKey: *b", "line 1: an anchor, &a"),
    "a tag": ("staging:\n  resendApiKey: !!python/object/apply:os.system [id]", "line 2: a tag, !!python/object/apply"),
    "a tag of one's own": ("staging:\n  resendApiKey: !vault re_secret_vault", "line 2: a tag, !vault"),
    "a misspelt key": ("staging:\n  smtpHots: h.example", "line 2: smtpHots is unknown: did you mean smtpHost?"),
    "half a login": (
        "staging:\n  smtpHost: h.example\n  smtpUsername: u",
        "password is not set, but username is",
    ),
    "SMTP without a host": ("staging:\n  smtpPort: 587", "no host"),
    "a placeholder": (
        "staging:\n  resendApiKey: re_xxxxxxxxxxxx",
        "line 2: resendApiKey cannot be used: it is the placeh",
    ),
    "a key of two lines": (
        "staging:\n  resendApiKey: |\n    re_secret_a\n    re_secret_b",
        "line 2: resendApiKey has more",
    ),
    "an unfinished quote": ('staging:\n  resendApiKey: "re_secret_quote', "found unexpected end of stream"),
    "two documents": ("staging:\n  a: b\n---\nstaging:\n  a: b", "a second document"),
    "a list": ("- re_secret_list", "contains no settings"),
    "nothing": ("", "contains no settings"),
    "a control character": ("staging:\n  resendApiKey: re_\x00", "a character that YAML does not allow"),
    "endless nesting": ("staging: " + "[" * 5000, "nested more than 8 deep"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_file_is_rejected_with_its_line(run: Run, tmp_path: Path, staging: Stored, name: str) -> None:
    content, fault = FAULTS[name]
    path = tmp_path / "passwords.yaml"
    path.write_text(content)
    refused = run("secrets", "import", str(path), "--env", "staging", "--yes")
    assert refused.code == 2
    assert fault in refused.text
    assert "re_secret" not in refused.text
    assert "Traceback" not in refused.text
    assert staging.values() == {}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(
            "RESEND_API_KEY=re_secret_1\nRESEND_API_KEY=re_secret_2", "line 2: RESEND_API_KEY stands tw", id="twice"
        ),
        pytest.param("A=b\nRESEND_API_KEY re_secret_3", "line 2: it is not of the form NAME=value", id="no-sign"),
        pytest.param("A=b\nRESEND_API_KEY='re_secret_4", "line 2: RESEND_API_KEY is not of the form", id="quote"),
        pytest.param("RESEND_API_KEY=${SECRET_5}", "line 1: RESEND_API_KEY refers to another variable", id="reference"),
        pytest.param("RESEND_FROM_APP_AUTH=nobody", "line 1: RESEND_FROM_APP_AUTH is not a mailbox", id="from"),
        pytest.param(
            "RESEND_API_KEI=re_secret_6",
            "line 1: RESEND_API_KEI is unknown: did you mean RESEND_API_KEY?",
            id="misspelt",
        ),
    ],
)
def test_a_faulty_dotenv_file_is_rejected_with_its_line(
    run: Run, tmp_path: Path, staging: Stored, content: str, fault: str
) -> None:
    path = tmp_path / ".env.staging"
    path.write_text(content)
    refused = run("secrets", "import", str(path), "--env", "staging", "--format", "env", "--yes")
    assert refused.code == 2
    assert fault in refused.text
    assert "re_secret" not in refused.text
    assert staging.values() == {}


def test_a_fault_in_one_environment_stops_the_import_of_all(
    run: Run, tmp_path: Path, staging: Stored, production: Stored
) -> None:
    path = tmp_path / "passwords.yaml"
    path.write_text(f"staging:\n  resendApiKey: {KEY}\nproduction:\n  resendApiKey: 4711\n")
    refused = run("secrets", "import", str(path), "--env", "all", "--yes")
    assert refused.code == 2
    assert "line 4" in refused.text
    assert staging.values() == production.values() == {}


def test_a_file_of_a_megabyte_is_rejected(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "passwords.yaml"
    path.write_bytes(b"staging:\n" + b"  key: value\n" * 80_000)
    refused = run("secrets", "import", str(path), "--env", "staging", "--yes")
    assert refused.code == 2
    assert "1015 kB" in refused.text
    assert "right file" in refused.text


def test_a_file_that_is_not_utf_8_is_rejected_with_its_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "passwords.yaml"
    path.write_bytes("staging:\n  resendFromEmail: Büro <a@example.com>\n".encode("latin-1"))
    refused = run("secrets", "import", str(path), "--env", "staging", "--yes")
    assert refused.code == 2
    assert "line 2: save the file as UTF-8" in refused.text


def test_a_file_of_an_unknown_format_requires_the_option(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "secrets.txt"
    path.write_text(DOTENV)
    refused = run("secrets", "import", str(path), "--env", "staging", "--yes")
    assert refused.code == 2
    assert "--format" in refused.text
    assert run("secrets", "import", str(path), "--env", "staging", "--format", "env", "--yes").code == 0


def test_a_missing_file_is_an_error(run: Run, tmp_path: Path) -> None:
    refused = run("secrets", "import", str(tmp_path / "none.yaml"), "--env", "staging")
    assert refused.code == 2
    assert "No such file" in refused.text


def test_other_resend_keys_are_imported_where_there_is_a_setting(run: Run, tmp_path: Path, staging: Stored) -> None:
    path = tmp_path / ".env"
    path.write_text("RESEND_WEBHOOK_SECRET=whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ=\nRESEND_AUDIENCE_ID=78261eea\n")
    done = run("secrets", "import", str(path), "--env", "staging", "--yes")
    assert done.code == 0
    assert set(staging.values()) == {"feedback/resend/secret"}
    assert "line 2: RESEND_AUDIENCE_ID is ignored: Mailroom has no such setting" in done.text
