"""Bytes to characters, and texts to titles (case 16)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.domains.knowledge.text import decode, slug, titled
from selfedit.errors import InputError

TEXT = "Größe: 30 days\n“quoted” 员工\n"


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_with_a_mark_is_read_in_its_encoding(code, caplog):
    assert decode(TEXT.encode(code), "x") == TEXT and not caplog.records


@pytest.mark.parametrize(
    ("data", "expected", "said"),
    [
        ("Größe 30".encode("cp1252"), "Größe 30", "x is not UTF-8: read as CP1252"),
        ("“It is 5 €, élan”".encode("cp1252"), "“It is 5 €, élan”", "read as CP1252"),
        ("Leave is 30 days.".encode("utf-16-le"), "Leave is 30 days.", "looks like UTF-16-LE: read as that"),
        ("Leave is 30 days.".encode("utf-16-be"), "Leave is 30 days.", "looks like UTF-16-BE: read as that"),
    ],
)
def test_a_guess_is_said(data, expected, said, caplog):
    assert decode(data, "x") == expected and said in caplog.text


def test_a_web_page_says_its_encoding(caplog):
    page = '<meta charset="{}"><p>Тридцать дней отпуска</p>'
    for code in ("windows-1251", "koi8-r", "iso-8859-5"):
        assert decode(page.format(code).encode(code), "x") == page.format(code)
    assert not caplog.records
    with pytest.raises(InputError, match="nor in CP1252 by its look"):
        decode(page.format("").encode("cp1251"), "x")
    with pytest.raises(InputError, match="is marked as UTF-8 and is not"):
        decode(page.format("utf-8").encode("cp1251"), "x")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"Leave\0 is 30 days.", "x holds control characters"),
        (b"\xff\xfeabc", "x is marked as UTF-16 and is not; save it as UTF-8"),
        (bytes(range(256)), "x holds control characters|x is not text"),
        ("Тридцать дней отпуска".encode("cp1251"), "nor in CP1252 by its look; save it as UTF-8"),
        ("员工手册:三十天".encode("gb18030"), "x is not text in UTF-8"),
        (b"\x01\x02\x03\x04", "x holds control characters"),
    ],
)
def test_what_is_no_text_is_refused(data, complaint):
    with pytest.raises(InputError, match=complaint):
        decode(data, "x")


def test_lines_and_pages_end_in_one_way():
    assert decode("a\r\nb\rc\u2028d\x0be\x0cf\u2029g".encode(), "x") == "a\nb\nc\nd\ne\n\nf\n\ng"


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Handbook\n\nLeave.\n", "Handbook", "Leave."),
        ("   # Handbook ##  \nLeave.", "Handbook", "Leave."),
        ("# Learning C#\n\nC# has classes.", "Learning C#", "C# has classes."),
        ("#hashtag\n\nText.", "name", "#hashtag\n\nText."),
        ("    # code\n\nText.", "name", "# code\n\nText."),
        ("#\n\nFirst.\n\n# #\n", "name", "#\n\nFirst.\n\n# #"),
        ("## Second level\n\n# First level\nText.", "First level", "## Second level\n\n\nText."),
        ("```bash\n# install it\n```\n# Handbook\nLeave.", "Handbook", "```bash\n# install it\n```\n\nLeave."),
        ("~~~\n```\n# no\n~~~~\n# Yes\nText.", "Yes", "~~~\n```\n# no\n~~~~\n\nText."),
        ("````\n```\n# no\n````\nText.", "name", "````\n```\n# no\n````\nText."),
        ("```\n# never closed", "name", "```\n# never closed"),
        ("Handbook\n=====\n\nLeave.", "Handbook", "Leave."),
        ("- item\n====\nText.", "name", "- item\n====\nText."),
        ("====\nText.", "name", "====\nText."),
        ("---\ntitle: Real Title\ntags:\n  - a\n---\n# Handbook\nLeave.", "Real Title", "# Handbook\nLeave."),
        ('---\ntitle: "A: \\"b\\" # c"  # yes\n---\nText.', 'A: "b" # c', "Text."),
        ("---\ntitle: 'It''s'\n...\nText.", "It's", "Text."),
        ("---\ntitle: plain # comment\n---\nText.", "plain", "Text."),
        ("---\ntitle: >\n  folded\n---\n# Handbook\nText.", "Handbook", "Text."),
        ("---\ndate: 2020-99-99\n---\n# Handbook\nText.", "Handbook", "Text."),
        ('+++\ntitle = "Real"\n+++\nText.', "Real", "Text."),
        ("+++\nno toml\n+++\nText.", "name", "+++\nno toml\n+++\nText."),
        ("+++\n", "name", "+++"),
        ("---\nNot: closed", "name", "---\nNot: closed"),
        ("---\nA line between rules.\n---\nText.", "name", "---\nA line between rules.\n---\nText."),
        ("---\ntitle: only\n---\n", "only", ""),
        ("# " + "x" * 201, "name", "# " + "x" * 201),
        ("# Only a heading", "Only a heading", "# Only a heading"),
    ],
)
def test_a_title_is_what_the_document_says_it_is(text, title, body):
    assert titled(text, "name", is_markdown=True) == (title, body)


@given(st.text(st.sampled_from("#=-`~+:\" \t\nab\\'|>"), max_size=80))
def test_no_text_is_lost_but_a_title_and_front_matter(text):
    title, body = titled(text, "name", is_markdown=True)
    assert title and "\n" not in title
    assert body or not text.strip() or text.lstrip("\n").startswith(("---", "+++"))


def test_plain_text_has_no_markup():
    assert titled("# 25 days\nof leave.\n", "name", is_markdown=False) == ("name", "# 25 days\nof leave.")


def test_ids_of_ascii_names_stay_as_they_were():
    assert slug("Staff_handbook 2!") == slug("Staff_handbook 2!", any_letters=True) == "staff-handbook-2"
    assert (slug("Beyoncé"), slug("Beyoncé", any_letters=True), slug("?!")) == ("beyonc", "beyoncé", "document")
    assert slug("Cafe\u0301", any_letters=True) == slug("Café", any_letters=True)
