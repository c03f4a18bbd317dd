"""Which files are read: folders, patterns, standard input; and what is in them decides how."""

import io
import os
import zipfile
from types import SimpleNamespace

import pytest
from hypothesis import given
from mutations import examples, mutated_bytes, survives

from selfedit.domains.knowledge import convert, sources
from selfedit.domains.knowledge.reader import read_documents
from selfedit.errors import InputError


@pytest.fixture
def folder(tmp_path):
    files = {"b.md": "# B\ntext", "a.TXT": "a", "sub/c.md": "c", "photo.jpg": "x", ".hidden.md": "x", "sub/._c.md": "x"}
    files |= {"run/trials.sqlite": "", "run/report.html": "x", "run/updates/card.json": "{}"}
    files |= {".git/d.md": "x", "__MACOSX/e.md": "x", "empty.md": "", "~$b.docx": "x", "data.json": '[{"text": "one"}]'}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def titles(*paths, include=""):
    return [task.title for task in read_documents(list(paths), include)]


def test_a_folder_is_read_with_what_lies_below_and_says_what_it_passed_over(folder, caplog):
    caplog.set_level("INFO")
    assert titles(folder) == ["a", "B", "data", "c"]
    assert "5 files; passed over 1 of other kinds (1 .jpg), 5 hidden, 1 run of selfedit" in caplog.text
    assert f"skipped 1 file that could not be read, the first because {folder}/empty.md is empty" in caplog.text


def test_a_filter_says_which_files_of_a_folder_are_meant(folder):
    assert titles(folder, include="*.md") == ["B", "c"]
    assert titles(folder, include="sub/*") == ["c"]
    assert titles(folder / "b.md", folder, include="*.TXT") == ["B", "a"]


def test_a_pattern_is_every_file_that_it_fits(folder):
    assert titles(folder / "*.TXT", folder / "**" / "c.md") == ["a", "c"]
    (folder / "[x].md").write_text("brackets")
    assert titles(folder / "[x].md") == ["[x]"]


def test_links_that_go_round_end(folder):
    (folder / "sub" / "again").symlink_to(folder)
    assert titles(folder) == ["a", "B", "data", "c"]


@pytest.mark.parametrize("name", ["none", "*.none", "empty.md", "[", "sub/**"])
def test_where_nothing_is_found_that_is_said(folder, name):
    (folder / "none").mkdir()
    (folder / "sub" / "c.md").unlink()
    with pytest.raises(InputError, match=r"no document there|is empty|there is no file|is no"):
        read_documents([folder / name])


def test_a_folder_with_too_many_files_is_refused(folder, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILES", 3)
    with pytest.raises(InputError, match="holds more than 3 files; name the folders in it that are meant"):
        read_documents([folder])


def test_a_pipe_in_a_folder_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.md")
    assert titles(folder) == ["a", "B", "data", "c"]


def test_standard_input_is_a_document(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"# Piped\ntext")))
    (task,) = read_documents([sources.STDIN])
    assert (task.title, task.context) == ("Piped", "text")
    with pytest.raises(InputError, match="standard input is empty"):
        read_documents([sources.STDIN])


# By content


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Office file; save it as DOCX"),
        (b"{\\rtf1 text}", "is RTF; save it as DOCX"),
        (b"\x1f\x8b\x08", "is compressed; unpack it"),
        (b"\x89PNG\r\n", "is a picture"),
        (b"PK\x03\x04 and no more", "is a damaged ZIP archive"),
        (b"PK\x05\x06" + bytes(18), "is a ZIP archive and no DOCX"),
        (b'<?xml version="1.0"?>\n<feed/>', "is XML; save its text as HTML"),
        (b"<svg><text>x</text></svg>", "is XML"),
        ("\u200b \u00a0".encode(), "is empty"),
        (b'{"a": 1}', "record 0 has no key 'title'"),
        (b' [{"instruction": "a", "output": "b"}]', "looks like instructions"),
    ],
)
@pytest.mark.parametrize("name", ["x.txt", "x.md", "x"])
def test_a_file_is_what_is_in_it_and_not_what_it_is_called(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_documents([tmp_path / name])


def test_an_archive_says_that_it_should_be_unpacked_and_a_bomb_that_it_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "MAX_UNPACKED", 2**20)
    for name, member, size in (("a.zip", "a.txt", 10), ("bomb.docx", "word/document.xml", 2**20 + 1)):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, b"\0" * size)
    with pytest.raises(InputError, match=r"is a ZIP archive and no DOCX.*unpack it"):
        read_documents([tmp_path / "a.zip"])
    with pytest.raises(InputError, match="unpacks to more than 1 MB"):
        read_documents([tmp_path / "bomb.docx"])


TEXTS = [b"# Title\n\nSome text.\n", b"---\ntitle: 'a'\n---\n# b\n```\n# c\n```\n", "Größe\n=====\nx".encode("cp1252")]


@examples(60)
@given(
    mutated_bytes(
        b"# Title\n\nSome text.\n", b"---\ntitle: 'a'\n---\n# b\n```\n# c\n```\n", "Größe\n=====\nx".encode("cp1252")
    )
)
def test_any_text_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.md"
    path.write_bytes(content)
    for task in survives(read_documents, [path]) or []:
        assert task.title.strip() and task.context.strip()
        f"{task.id}{task.title}{task.context}".encode()
