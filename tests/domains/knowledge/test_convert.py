"""Office files, PDF, web pages and e-books (case 16), in a process that may hang, crash and grow without harm."""

import io
import zipfile

import pytest
from hypothesis import given
from mutations import examples, mutated_bytes, survives

from selfedit.domains.knowledge import convert
from selfedit.domains.knowledge.convert import Converter, converter
from selfedit.domains.knowledge.reader import read_documents
from selfedit.errors import InputError

markitdown = pytest.importorskip("markitdown")


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def pdf(text):
    """One page with one line."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, one) for number, one in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer<</Size 6/Root 1 0 R>>\n%%EOF"


def docx(*paragraphs):
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'
    text = "".join(
        f"<w:p>{'' if number else style}<w:r><w:t>{one}</w:t></w:r></w:p>" for number, one in enumerate(paragraphs)
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    relation = f'<Relationship Id="a" Type="{office}" Target="word/document.xml"/>'
    package = "http://schemas.openxmlformats.org/package/2006"
    return zipped(
        **{
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships">{relation}</Relationships>',
            "word/document.xml": f'<w:document xmlns:w="{name}"><w:body>{text}</w:body></w:document>',
        }
    )


def pptx(title, text):
    from pptx import Presentation

    buffer, made = io.BytesIO(), Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = title, text
    made.save(buffer)
    return buffer.getvalue()


def xlsx(*rows):
    from openpyxl import Workbook

    buffer, made = io.BytesIO(), Workbook()
    for row in rows:
        made.active.append(row)
    made.save(buffer)
    return buffer.getvalue()


def epub(title, text):
    container = '<container><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>'
    metadata = f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
    items = '<manifest><item id="a" href="a.html"/></manifest><spine><itemref idref="a"/></spine>'
    package = f"<package>{metadata}{items}</package>"
    return zipped(**{"META-INF/container.xml": container, "c.opf": package, "a.html": f"<body><p>{text}</p></body>"})


HTML = (
    b"<html><head><title>Handbook</title><script>var a=1;</script></head><body><p>Leave is 30 days.</p></body></html>"
)
FILES = {
    "a.pdf": (pdf("Leave is 30 days."), "a"),
    "pdf.txt": (pdf("Leave is 30 days."), "pdf"),
    "office.docx": (docx("Handbook", "Leave is 30 days."), "Handbook"),
    "a.bin": (docx("Handbook", "Leave is 30 days."), "Handbook"),
    "b.pptx": (pptx("Handbook", "Leave is 30 days."), "Handbook"),
    "d.xlsx": (xlsx(["what", "how long"], ["leave", "Leave is 30 days."]), "d"),
    "e.epub": (epub("Handbook", "Leave is 30 days."), "Handbook"),
    "f.html": (HTML, "Handbook"),
    "html.txt": (b"\xef\xbb\xbf<!DOCTYPE html>" + HTML, "Handbook"),
    "utf16.htm": (HTML.decode().encode("utf-16"), "Handbook"),
    "fragment.txt": (b"<p>Leave is 30 days.</p>", "fragment"),
}


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def test_every_kind_gives_its_text_and_title_whatever_it_is_called(tmp_path):
    tasks = read_documents(write(tmp_path, {name: content for name, (content, _) in FILES.items()}))
    assert {task.id: task.title for task in tasks}["f"] == "Handbook"
    assert [task.title for task in tasks] == [title for _, title in FILES.values()]
    assert all("Leave is 30 days." in task.context and "<" not in task.context for task in tasks)


def test_what_holds_no_text_or_is_damaged_says_so(tmp_path):
    files = {"scan.pdf": pdf(""), "cut.pdf": pdf("x")[:60], "empty.html": b"<html></html>", "bad.docx": docx("a")[:-30]}
    complaints = ["holds no text; if its pages are pictures", "PDF: it is damaged", "holds no text", "damaged ZIP"]
    for path, complaint in zip(write(tmp_path, files), complaints, strict=True):
        with pytest.raises(InputError, match=complaint):
            read_documents([path])


def test_files_of_the_users_folder_are_not_run(tmp_path, monkeypatch):
    write(
        tmp_path, {"markitdown.py": b"raise SystemExit('run')", "json.py": b"raise SystemExit('run')", "a.html": HTML}
    )
    monkeypatch.chdir(tmp_path)
    assert read_documents([tmp_path / "a.html"])[0].title == "Handbook"


def test_entities_are_not_followed_and_do_not_grow(tmp_path):
    (tmp_path / "secret").write_text("secret")
    entities = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 20}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "lol">{lol}]>'
    for doctype, name in ((entities, "x"), (bomb, "l8")):
        content = docx("Handbook", "MARK")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {member: archive.read(member).decode() for member in archive.namelist()}
        files["word/document.xml"] = doctype + files["word/document.xml"].replace("MARK", f"&{name};")
        (path,) = write(tmp_path, {"a.docx": zipped(**files)})
        read = survives(read_documents, [path])
        assert read is None or ("secret" not in read[0].context and len(read[0].context) < 1000)


def test_a_file_that_takes_too_long_or_kills_its_reader_is_refused_and_the_next_is_read():
    with converter() as convert_one:
        convert_one.seconds = 0.0
        with pytest.raises(InputError, match=r"x could not be read as HTML within 0 s and 4 GB"):
            convert_one("HTML", HTML, "x")
        convert_one.seconds = 60.0
        assert convert_one("HTML", HTML, "x") == ("Handbook", "Leave is 30 days.")
        convert_one._process.kill()
        with pytest.raises(InputError, match="x could not be read as HTML within"):
            convert_one("HTML", HTML, "x")


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"x: reading PDF needs .* pip install 'selfedit\[documents\]'"):
        Converter()("PDF", b"", "x")


@pytest.fixture(scope="module")
def kept():
    with converter() as convert_one:
        yield convert_one


SEEDS = {name.rpartition(".")[2].upper(): content for name, (content, _) in FILES.items()}


@examples(20)
@given(mutated_bytes(*(SEEDS[kind] for kind in ("PDF", "DOCX", "XLSX", "EPUB", "HTML"))))
def test_any_file_is_read_or_refused(kept, content):
    for kind in ("PDF", "HTML"):
        survives(kept, kind, content, "x")
    if kind := survives(convert.kind_of_zip, content, "x"):
        survives(kept, kind, content, "x")
