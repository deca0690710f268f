"""Languages: every file complete, every number in its right form, every reader answered in the nearest language."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

from mailroom.model.kinds import KINDS
from mailroom.model.security_events import SecurityEvent
from mailroom.rendering.locales import negotiate
from mailroom.rendering.plurals import category
from mailroom.rendering.texts import PLACEHOLDER, Texts, fill, read_tables

LOCALES = Path(__file__).parents[2] / "layers" / "templates" / "locales"
BACK_TRANSLATIONS = Path(__file__).parents[2] / "docs" / "languages"
TAGS = sorted(path.stem for path in LOCALES.glob("*.toml"))
LOGTO = {"ar", "cs", "de", "en", "es", "fa-IR", "fr", "it", "ja", "ko", "pl-PL", "pt-BR", "pt-PT", "ru", "th", "tr-TR"}
LOGTO |= {"uk-UA", "zh-CN", "zh-HK", "zh-TW"}
NEWER = {"ca", "es-419", "et", "hr", "lt", "lv", "sl", "sr", "sr-Latn"}
NEWER |= {"bn", "fil", "mr", "ms", "ta", "te", "ur"}
MORE = {"nl", "sv", "da", "nb", "fi", "el", "he", "hi", "id", "vi", "ro", "hu", "bg", "sk"}
NUMBERS = [*range(1000), 1000, 1001, 1002, 1011, 1111, 10_001, 100_011]


EVENTS = {f"security-notice.{event}" for event in SecurityEvent}


def read(tag: str) -> dict[str, Any]:
    return read_tables((LOCALES / f"{tag}.toml").read_text("utf-8"))


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def sentences(tag: str) -> dict[str, str]:
    """Every text but those that come in plural forms, which differ between languages."""
    return {key: sentence for key, sentence in flat(read(tag)) if not key.startswith(("about.", "common.valid_"))}


ENGLISH = sentences("en")


def test_all_languages_of_logto_and_many_more_are_available():
    assert set(TAGS) >= LOGTO | MORE | NEWER


def test_every_kind_has_texts_of_its_own():
    assert set(read("en")) == {"about", "common", *KINDS, *EVENTS}


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_has_the_same_sentences_as_english(tag):
    missing, unknown = ENGLISH.keys() - sentences(tag).keys(), sentences(tag).keys() - ENGLISH.keys()
    assert not missing, f"locales/{tag}.toml lacks {', '.join(sorted(missing))}"
    assert not unknown, f"locales/{tag}.toml has what no template asks for: {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("tag", TAGS)
def test_a_sentence_has_the_same_placeholders_as_in_english(tag):
    for key, sentence in sentences(tag).items():
        expected, actual = sorted(PLACEHOLDER.findall(ENGLISH[key])), sorted(PLACEHOLDER.findall(sentence))
        assert actual == expected, f"locales/{tag}.toml, {key}: has {actual}, should have {expected}"


@pytest.mark.parametrize("tag", TAGS)
def test_a_sentence_is_translated_and_free_of_stray_characters(tag):
    for key, sentence in sentences(tag).items():
        where = f"locales/{tag}.toml, {key}"
        assert sentence == " ".join(sentence.split(" ")).strip() and "  " not in sentence, f"{where}: stray spaces"
        assert not set("<>&\"'`\\\t\n") & set(sentence), f"{where}: markup, straight quotes or control characters"
        assert PLACEHOLDER.sub("", sentence).count("{") == 0, f"{where}: a broken placeholder"
        has_words = any(map(str.isalpha, PLACEHOLDER.sub("", sentence)))
        assert tag == "en" or not has_words or sentence != ENGLISH[key], f"{where}: still in English"


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_has_exactly_the_plural_forms_it_needs(tag):
    needed = {category(tag, n) for n in range(1, 200)} | {"other"}
    for unit in ("valid_minutes", "valid_hours", "valid_days"):
        forms = read(tag)["common"][unit]
        optional = {"zero", "other"}
        assert needed - optional <= set(forms), f"locales/{tag}.toml, common.{unit} lacks {needed - set(forms)}"
        assert set(forms) <= needed | optional, (
            f"locales/{tag}.toml, common.{unit}: {set(forms) - needed} is never used"
        )
        for name, sentence in forms.items():
            numbers = [n for n in range(200) if category(tag, n) == name]
            assert "{n}" in sentence or len(numbers) <= 1, f"locales/{tag}.toml, common.{unit}.{name} hides its number"


@pytest.mark.parametrize("tag", TAGS)
def test_plural_rules_are_those_of_cldr(tag):
    cldr = Locale.parse(tag, sep="-").plural_form
    assert [category(tag, n) for n in NUMBERS] == [cldr(n) for n in NUMBERS]


@pytest.mark.parametrize("tag", TAGS)
def test_direction_and_name_are_those_of_cldr(tag):
    locale = Locale.parse(tag, sep="-")
    assert read(tag)["about"]["direction"] == locale.text_direction
    assert read(tag)["about"]["name"]


@pytest.mark.parametrize(
    ("tag", "n", "sentence"),
    [
        ("ar", 2, "صالح لمدة دقيقتين."),
        ("ar", 5, "صالح لمدة 5 دقائق."),
        ("ar", 15, "صالح لمدة 15 دقيقة."),
        ("bn", 10, "১০ মিনিটের জন্য বৈধ।"),
        ("cs", 3, "Platí 3 minuty."),
        ("fa-IR", 10, "تا ۱۰ دقیقهٔ دیگر معتبر است."),
        ("he", 1, "בתוקף למשך דקה אחת."),
        ("ja", 10, "10分間有効です。"),
        ("ms", 1, "Sah selama 1 minit."),
        ("pl-PL", 22, "Ważność: 22 minuty."),
        ("ro", 20, "Valabil 20 de minute."),
        ("hr", 22, "Vrijedi 22 minute."),
        ("lt", 21, "Galioja 21 minutę."),
        ("lt", 12, "Galioja 12 minučių."),
        ("lv", 10, "Derīgs 10 minūtes."),
        ("et", 10, "Kehtib 10 minutit."),
        ("fil", 10, "May bisa sa loob ng 10 minuto."),
        ("fil", 14, "May bisa sa loob ng 14 na minuto."),
        ("mr", 10, "१० मिनिटांसाठी वैध."),
        ("ta", 1, "1 நிமிடத்திற்குச் செல்லுபடியாகும்."),
        ("ta", 10, "10 நிமிடங்களுக்குச் செல்லுபடியாகும்."),
        ("te", 10, "10 నిమిషాల పాటు చెల్లుతుంది."),
        ("sl", 2, "Velja 2 minuti."),
        ("sl", 10, "Velja 10 minut."),
        ("sr", 21, "Важи 21 минут."),
        ("ru", 21, "Действует 21 минуту."),
        ("uk-UA", 5, "Діє 5 хвилин."),
        ("ur", 10, "10 منٹ تک کارآمد۔"),
    ],
)
def test_minutes_have_the_correct_plural_form(tag, n, sentence):
    assert Texts.read(LOCALES / f"{tag}.toml").duration("valid_minutes", n) == sentence


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        (["de"], "de"),
        (["de-AT"], "de"),
        (["DE_at"], "de"),
        (["fr-CA", "en"], "fr"),
        (["fa"], "fa-IR"),
        (["pt"], "pt-BR"),
        (["pt-AO"], "pt-PT"),
        (["bn-IN"], "bn"),
        (["ur-PK"], "ur"),
        (["ms-BN"], "ms"),
        (["zh"], "zh-CN"),
        (["zh-Hant"], "zh-TW"),
        (["zh-Hant-HK"], "zh-HK"),
        (["zh-Hans-SG"], "zh-CN"),
        (["zh-MO"], "zh-HK"),
        (["no"], "nb"),
        (["es-MX"], "es-419"),
        (["es-419"], "es-419"),
        (["es-ES"], "es"),
        (["es-GQ"], "es"),
        (["sr-Latn-RS"], "sr-Latn"),
        (["sr-RS"], "sr"),
        (["sr-ME"], "sr-Latn"),
        (["hr-BA"], "hr"),
        (["nn-NO"], "nb"),
        (["iw"], "he"),
        (["tl-PH"], "fil"),
        (["ta-LK"], "ta"),
        (["te-IN"], "te"),
        (["mr-IN"], "mr"),
        (["uk"], "uk-UA"),
        (["tr"], "tr-TR"),
        (["xx", "yy-ZZ", "it-CH"], "it"),
        (["en-GB"], "en"),
        (["", "-", "_", "x" * 999, "sv"], "sv"),
        (["tlh"], "nl"),
        ([], "nl"),
    ],
    ids=str,
)
def test_the_nearest_available_language_is_chosen_in_order(preferred, expected):
    assert negotiate(preferred, TAGS, "nl") == expected


def test_english_is_the_last_resort():
    assert negotiate(["tlh"], TAGS, "tlh") == "en"


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        ("Acme", "登录 Acme 的账号"),
        ("阿克米", "登录阿克米的账号"),
        ("阿克米 Cloud", "登录阿克米 Cloud 的账号"),
        ("Cloud 阿克米", "登录 Cloud 阿克米的账号"),
        ("", "登录  的账号"),
    ],
)
def test_chinese_names_have_no_spaces_around_them_and_latin_ones_do(app, sentence):
    assert fill("登录 {app} 的账号", {"app": app}) == sentence


@pytest.mark.parametrize("tag", TAGS)
def test_a_street_address_is_not_meant(tag):
    bare = {
        "bn": "ঠিকানা",
        "en": "address",
        "fil": "address",
        "hi": "पते",
        "id": "alamat",
        "ko": "주소",
        "mr": "पत्त",
        "ms": "alamat",
        "ta": "முகவரி",
        "te": "అడ్రస్",
        "th": "ที่อยู่",
        "ur": "پت",
        "vi": "địa chỉ",
    }
    kind = {
        "bn": "ইমেইল",
        "en": "email",
        "fil": "email",
        "hi": "ईमेल",
        "id": "email",
        "ko": "이메일",
        "mr": "ईमेल",
        "ms": "e-mel",
        "ta": "மின்னஞ்சல்",
        "te": "ఈమెయిల్",
        "th": "อีเมล",
        "ur": "ای میل",
        "vi": "email",
    }
    for key, sentence in sentences(tag).items():
        if tag in bare and bare[tag] in sentence.lower() and key.split(".")[0] not in ("common", "security-notice"):
            assert kind[tag] in sentence.lower(), f"locales/{tag}.toml, {key}: {sentence}"


WHOLE = [page for page in sorted(BACK_TRANSLATIONS.glob("[!R]*.md")) if page.stem != "link-page"]


@pytest.mark.parametrize("page", WHOLE, ids=lambda page: page.stem)
def test_a_back_translation_is_of_the_present_sentences(page):
    rows = (line.strip("| \n").split(" | ") for line in page.read_text("utf-8").splitlines() if line.startswith("| `"))
    assert {row[0].strip("`"): row[1] for row in rows} == sentences(page.stem)


def test_the_back_translations_of_the_link_page_are_of_the_present_sentences():
    _, *parts = (BACK_TRANSLATIONS / "link-page.md").read_text("utf-8").split("\n## ")
    pages = {part.partition("(")[2].partition(")\n")[0].rpartition("(")[2]: part for part in parts}
    for tag, part in pages.items():
        rows = (line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `page_"))
        shown = {f"common.{row[0].strip('`')}": row[1] for row in rows}
        assert shown == {key: text for key, text in sentences(tag).items() if key.startswith("common.page_")}, tag
    assert len(pages) == 42
