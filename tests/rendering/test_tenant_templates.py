"""A tenant's own templates and texts: their features, and the limits that keep them harmless."""

import re
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer
from mailroom.rendering.template_policy import NotAllowed, check
from tests.rendering.requests import mail_request

TEMPLATES = Path(__file__).parents[2] / "layers" / "templates"
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
BODY = '{% extends "layout.html" %}{% block body %}'
OURS = "Do not share this code"
LOGTO = {
    "code": "048291",
    "application": {
        "id": "1",
        "name": "acme",
        "displayName": "Acme & Co",
        "branding": {"logoUrl": "https://example.com/l.png"},
    },
    "user": {"name": None, "profile": {}},
    "list": [1, "two", {"three": 3}],
    "flag": True,
    "link": "javascript:alert(1)",
}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


def logto_mail(kind: str = "sign-in-code", *locales: str, tenant: str = "default", **data: Any) -> Message:
    return mail_request(kind, *locales, tenant=tenant, **(data or LOGTO))


def test_a_tenant_replaces_one_sentence(renderer):
    own = {"locales/de.toml": '[sign-in-code]\nsubject = "Hereinspaziert bei {app}!"'}
    german = renderer.compose(logto_mail("sign-in-code", "de"), SENDER, {}, own)
    assert german.problems == ()
    assert german.email.subject == "Hereinspaziert bei Acme & Co!"
    assert "Anmelden" in german.email.text or "anmelden" in german.email.text
    assert renderer.render(logto_mail("sign-in-code", "en"), SENDER, {}, own).subject == "Your Acme & Co sign-in code"


def test_a_tenant_replaces_a_body_inside_the_built_in_layout(renderer):
    own = {"emails/sign-in-code.html": BODY + "<p>Hi, {{ names.app }}: <b>{{ code.text }}</b></p>{% endblock %}"}
    rendered = renderer.compose(logto_mail(), SENDER, {"company": "Acme Ltd"}, own)
    assert rendered.problems == ()
    assert "<p>Hi, Acme &amp; Co: <b>048291</b></p>" in rendered.email.html
    assert "Acme Ltd" in rendered.email.html
    assert OURS not in rendered.email.html and OURS in rendered.email.text


def test_a_tenant_replaces_the_layout_around_the_built_in_bodies(renderer):
    own = {"layout.html": "<html lang={{ lang }}><body>{% set x = code %}</body></html>"}
    assert "`=`" in renderer.compose(logto_mail(), SENDER, {}, own).problems[0]
    own = {"layout.html": '<html lang="{{ lang }}"><body id="theirs">{% block body %}{% endblock %}</body></html>'}
    rendered = renderer.compose(logto_mail(), SENDER, {}, own)
    assert rendered.problems == ()
    assert (
        'id="theirs"' in rendered.email.html
        and '>048<span style="padding-left:14px">291</span></p>' in rendered.email.html
    )


def test_a_body_in_the_mails_language_has_priority(renderer):
    own = {
        "emails/sign-in-code.html": "all {{ code.text }}",
        "emails/sign-in-code.pt.html": "portuguese {{ code.text }}",
        "emails/sign-in-code.ca.html": "catalan {{ code.text }}",
    }
    for locale, content in {"fr": "all", "pt-BR": "portuguese", "ca-ES": "catalan"}.items():
        assert renderer.render(logto_mail("sign-in-code", locale), SENDER, {}, own).html == f"{content} 048291\n"
    assert renderer.render(logto_mail("mfa-code", "eu"), SENDER, {}, own).locale == "en"


def test_a_tenants_own_kind_has_its_own_texts_and_body(renderer):
    own = {
        "texts.toml": '[welcome]\nsubject = "Welcome to {app}"\nheading = "Hello!"\ntext = "Good to have you."',
        "emails/welcome.txt": '{% extends "layout.txt" %}{% block body %}\nHooray! {{ paragraphs[0] }}{% endblock %}',
    }
    rendered = renderer.compose(logto_mail("welcome", title=None), SENDER, {}, own)
    assert rendered.problems == ()
    assert rendered.email.subject == "Welcome to Acme"
    assert "Hooray! Good to have you." in rendered.email.text
    assert "Good to have you." in rendered.email.html


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("code", "048291"),
        ("application.displayName", "Acme &amp; Co"),
        ("application.branding.logoUrl", "https://example.com/l.png"),
        ("application.nothing.here", ""),
        ("user.name", ""),
        ("application", "[object Object]"),
        ("list", "1,two,[object Object]"),
        ("list.1", "two"),
        ("flag", "true"),
        ("link", ""),
        ("constructor", ""),
        ("code.__class__", ""),
        ("application.__len__", ""),
    ],
)
def test_payload_paths_have_the_values_that_logto_prints(renderer, path, content):
    own = {"emails/sign-in-code.html": f'{{{{ code.text }}}}[{{{{ payload["{path}"] }}}}]'}
    rendered = renderer.compose(logto_mail(), SENDER, {}, own)
    assert rendered.problems == ()
    assert rendered.email.html == f"048291[{content}]\n"


def test_a_tenants_folder_is_found_by_its_name(tmp_path):
    for path in TEMPLATES.rglob("*.*"):
        copy = tmp_path / path.relative_to(TEMPLATES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "tenants" / "acme").mkdir(parents=True)
    (tmp_path / "tenants" / "acme" / "texts.toml").write_text('[sign-in-code]\nheading = "Howdy"')
    renderer = Renderer(tmp_path)
    assert "Howdy" in renderer.render(logto_mail(tenant="acme"), SENDER, {}).html
    assert "Howdy" not in renderer.render(logto_mail(tenant="other"), SENDER, {}).html
    assert "Howdy" not in renderer.render(logto_mail(tenant="../tenants/acme"), SENDER, {}).html


HOSTILE = {
    "loops in loops": "{% for a in facts %}" * 3 + "xxxxxxxxxxxxxxxxxxxx" + "{% endfor %}" * 3,
    "walks through a text": "{% for letter in payload['code'] %}" + "x" * 40_000 + "{% endfor %}",
    "gives a text a list's name": "{% for facts in paragraphs %}{% for x in facts %}.{% endfor %}{% endfor %}",
    "closes a tag with another's end": "{{ 1 %} {{ 2 }}",
    "counts to a billion": "{% for i in range(1000000000) %}x{% endfor %}",
    "includes itself": '{% include "emails/sign-in-code.html" %}',
    "extends itself": '{% extends "emails/sign-in-code.html" %}',
    "calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "repeats itself": "{% for i in paragraphs recursive %}{{ loop(paragraphs) }}{% endfor %}",
    "doubles a string": "{% set x = 'aaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "doubles in a namespace": "{% set ns = namespace(x='a') %}" + "{% set ns.x = ns.x ~ ns.x %}" * 40,
    "concatenates": "{{ subject ~ subject }}",
    "multiplies a string": "{{ 'a' * 999999999 }}",
    "pads a string": "{{ '{:>999999999}'.format(3) }}",
    "replaces": "{{ subject|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
    "joins": "{{ subject|join('aaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
    "makes a long list": "{{ [1] * 99999999 }}",
    "overflows the stack": "{{ true" + " and true" * 20_000 + " }}",
    "nests": "{% if code %}" * 300 + "{% endif %}" * 300,
    "branches": "{% if false %}" + "{% elif false %}" * 4_000 + "{% endif %}",
    "dumps what there is": "{{ debug() }}",
    "reads a class": "{{ subject.__class__.__mro__ }}",
    "reads by subscript": "{{ brand['__class__'] }}",
    "reads a file": '{% include "../../etc/passwd" %}',
    "reads a setting": "{{ environ }}{{ self }}{{ settings }}",
    "imports": '{% from "parts/code.html" import x %}',
    "switches escaping off": "{% autoescape false %}{{ heading }}{% endautoescape %}",
    "calls it safe": "{{ heading|safe }}",
    "is too long": "x" * 70_000,
    "misses an end": "{% if code %}",
    "misses a brace": "{{ code.text }",
    "never ends a comment": "{# ",
    "hides the code": "<p>Hello!</p>",
    "asks for what is not there": "{{ code.text }}{{ cdoe.text }}",
    "is noise": "{{{{%}}#}{%%}{#{{",
}


# These are only found out when they run, or by what they rendered.
RUNS = {"reads by subscript", "reads a setting", "misses an end", "hides the code", "asks for what is not there"}


@pytest.mark.parametrize("fault", sorted(HOSTILE.keys() - RUNS))
def test_a_forbidden_template_is_refused_before_it_runs(fault):
    with pytest.raises(NotAllowed):
        check(HOSTILE[fault])


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("emails/*.*")), ids=lambda path: path.name)
def test_the_built_in_bodies_follow_the_policy_for_tenants(path):
    check(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "place", ["emails/sign-in-code.html", "emails/sign-in-code.txt", "layout.html", "parts/code.html"]
)
@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_template_is_stopped_and_replaced(renderer, fault, place):
    before, clock = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    rendered = renderer.compose(logto_mail(), SENDER, {}, {place: HOSTILE[fault]})
    assert rendered.problems
    assert rendered.problems[0].startswith((place, "emails/sign-in-code"))
    assert "048291" not in str(rendered.problems)
    assert OURS in rendered.email.html and OURS in rendered.email.text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kB
    assert time.process_time() - clock < 2.0


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "subject = 'outside'",
        "[sign-in-code]\nsubject = 7",
        "[sign-in-code]\nsubject = '{unknown}'",
        "[sign-in-code]\nsubject = '{app.__class__}'",
        "[common]\nvalid_minutes = 'always'",
        "[common.valid_minutes]\nother = '{app}'",
        "[common]\nbutton = ['x']",
    ],
)
def test_unusable_texts_are_reported_and_not_used(renderer, text):
    rendered = renderer.compose(logto_mail(), SENDER, {}, {"texts.toml": text})
    assert rendered.problems[0].startswith("texts.toml: ")
    assert rendered.email == renderer.render(logto_mail(), SENDER, {}, {})


def test_a_file_with_an_unknown_name_is_reported(renderer):
    rendered = renderer.compose(logto_mail(), SENDER, {}, {"email/sign-in-code.html": "x", "../secrets": "x"})
    assert len(rendered.problems) == 2


def test_the_cache_of_tenants_is_bounded(renderer):
    for n in range(200):
        renderer.render(logto_mail(), SENDER, {}, {"texts.toml": f'[sign-in-code]\nheading = "{n}"'})
    assert len(renderer._tenants) <= 16


def test_the_examples_of_the_documentation_work(renderer):
    page = (TEMPLATES.parent.parent / "docs" / "mail.md").read_text("utf-8")
    own = {
        re.findall(r"tenants/acme/(\S+)", example)[0]: example
        for example in re.findall(r"```(?:toml|html)\n(.*?)```", page, re.DOTALL)
    }
    rendered = renderer.compose(logto_mail("sign-in-code", "de"), SENDER, {}, own)
    assert rendered.problems == ()
    assert rendered.email.subject == "Hereinspaziert bei Acme & Co!"
    assert "Welcome back to Acme &amp; Co. Your code:" in rendered.email.html
    named = re.findall(
        r"^\| ((?:`[^`]+` ?)+)\|", page[page.index("The values:") : page.index("A tenant's files never")], re.MULTILINE
    )
    shown = "".join(f"{{{{ {value} }}}}" for names in named for value in re.findall("`([^`]+)`", names))
    own = {"emails/sign-in-code.html": f"{{% if button %}}{shown}{{% endif %}}"}
    everything = logto_mail("sign-in-code", "en", code="1", link="https://example.com/")
    look = {"support_email": "help@example.com"}
    assert renderer.compose(everything, SENDER, look, own).problems == ()
