"""HTML that a caller rendered: the text part made from it, and what a mail must not contain."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.rendering.html_tokens import Tag, tokenize
from mailroom.rendering.outside_html import find_active_content, has_markup, html_of_text, text_of_html

NEWSLETTER = """<!DOCTYPE html><html lang="de"><head><title>Not shown</title><style>p { color: red }</style></head>
<body><div style="display: none; max-height: 0">The preheader<div>&nbsp;&zwnj;&nbsp;&zwnj;</div></div>
<!--[if mso]><table><tr><td>Outlook</td></tr></table><![endif]-->
<table><tr><td><img src="https://a.example/logo.png" alt="Acme"></td></tr></table>
<h1>Your code</h1>
<p>Hello &amp; welcome,<br>your code is <b>123&nbsp;456</b>.</p>
<ul><li>Valid for 10 minutes</li><li>Do not share it</li></ul>
<p><a href="https://a.example/confirm?a=1&amp;b=2">Confirm</a> or write
to <a href="mailto:help@a.example">help@a.example</a>. <a href="https://a.example/">https://a.example/</a></p>
<script type="application/ld+json">{"@type": "EmailMessage"}</script>
<pre>  two
    four</pre></body></html>"""
EXPECTED = """Acme

Your code

Hello & welcome,
your code is 123 456.

- Valid for 10 minutes
- Do not share it

Confirm (https://a.example/confirm?a=1&b=2) or write to help@a.example. https://a.example/

  two
    four
"""
HOSTILE = (
    "<a ",
    "<",
    "</",
    "<!--",
    "<p>",
    "<a href='",
    "<a href=x>",
    "&amp;",
    "<div hidden>",
    "<![CDATA[",
    "<pre> ",
    "\u200c",
)


def test_a_text_part_reads_like_the_mail() -> None:
    assert text_of_html(NEWSLETTER) == EXPECTED


def test_words_of_cells_and_blocks_do_not_stick_together() -> None:
    html = "<table><tr><td>Name</td><td>Ada</td></tr><tr><td>City</td><td>London</td></tr></table><div>a</div>b"
    assert text_of_html(html).split() == ["Name", "Ada", "City", "London", "a", "b"]


@pytest.mark.parametrize("html", ["<img src='https://a.example/x.png'>", "<p hidden>x</p>", "", "<style>a</style>"])
def test_nothing_visible_is_an_empty_text(html: str) -> None:
    assert text_of_html(html) == ""


def test_a_very_long_text_part_ends_with_an_ellipsis() -> None:
    text = text_of_html("<p>word</p>" * 18_000)
    assert len(text) < 21_000
    assert text.endswith("…\n")


@pytest.mark.parametrize(
    ("html", "finding"),
    [
        ("<SCRIPT>alert(1)</SCRIPT>", "the element script"),
        ("<p>x<form action=https://a.example>", "the element form"),
        ("<iframe src=https://a.example>", "the element iframe"),
        ("<object data=x>", "the element object"),
        ("<p onclick=alert(1)>", "an event handler attribute"),
        ("<img/onerror=alert(1) src=x>", "an event handler attribute"),
        ("<meta http-equiv=Refresh content='0;url=https://a.example'>", "a redirect"),
        ("<a href='javascript:alert(1)'>x</a>", "a link that is neither http, https, mailto nor tel"),
        ("<a href=' jAva\nscript:alert(1)'>x</a>", "a link that is neither http, https, mailto nor tel"),
        ("<a href='&#106;avascript:alert(1)'>x</a>", "a link that is neither http, https, mailto nor tel"),
        ("<a href='data:text/html,x'>x</a>", "a link that is neither http, https, mailto nor tel"),
        ("<img src='data:image/svg+xml,x'>", "a link that is neither http, https, mailto nor tel"),
        ("<td background='vbscript:x'>", "a link that is neither http, https, mailto nor tel"),
    ],
)
def test_active_content_is_found(html: str, finding: str) -> None:
    assert find_active_content(html) == finding


@pytest.mark.parametrize(
    "html",
    [
        NEWSLETTER,
        "<a href='/relative'>x</a><a href='#top'>y</a><a href='tel:+491234'>z</a><a href=''>w</a>",
        "<img src='data:image/png;base64,AAAA'><img src='cid:logo'>",
        "<!-- <script> --><p>&lt;script&gt;</p><title><script></title>",
        "<p title='onclick=x'>javascript:alert(1)</p>",
        "text < 3 and > 2",
    ],
)
def test_usual_mail_has_no_active_content(html: str) -> None:
    assert find_active_content(html) == ""


@pytest.mark.parametrize(
    ("value", "expected"), [("Code: 1 < 2", False), ("a <b>b</b>", True), ("<!DOCTYPE html>x", True)]
)
def test_markup_is_recognized(value: str, expected: bool) -> None:
    assert has_markup(value) is expected


def test_text_becomes_html_with_its_lines_and_links() -> None:
    html = html_of_text("Code <123> & more\n  see https://a.example/x?a=1&b=2.\n")
    assert "Code &lt;123&gt; &amp; more\n  see" in html
    assert '<a href="https://a.example/x?a=1&amp;b=2">https://a.example/x?a=1&amp;b=2</a>.' in html
    assert text_of_html(html) == "Code <123> & more see https://a.example/x?a=1&b=2.\n"


def test_tags_have_names_and_values_in_one_form() -> None:
    tokens = list(tokenize("""<A HREF=x&amp;y Title='a>b' disabled/>t</a ><br/><b ="x">"""))
    assert tokens == [
        Tag("a", {"href": "x&y", "title": "a>b", "disabled": ""}),
        "t",
        Tag("a", is_end=True),
        Tag("br"),
        Tag("b", {'="x"': ""}),
    ]


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_html_takes_time_in_proportion_to_its_length(part: str) -> None:
    # html.parser takes minutes for some of these, and the run would stand still here.
    html = part * (200_000 // len(part))
    assert len(text_of_html(html)) <= 200_000
    assert find_active_content(html) == ""


@given(st.text(alphabet="<>/!-='\" aAbscript[]&;#\n\u200c", max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_without_an_error(html: str) -> None:
    assert isinstance(text_of_html(html) + find_active_content(html), str)
    list(tokenize(html))
