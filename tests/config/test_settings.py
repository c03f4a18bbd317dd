"""Keys go where the user lets them, and where their issuer is; a config can name any variable and any address."""

import os

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import EndpointConfig
from selfedit.config.settings import allow_key, host_of, is_loopback, key_for, read_settings, settings_path
from selfedit.errors import InputError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", str(tmp_path / "settings"))
    for variable in ("MY_KEY", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "secret-0123456789")
    return tmp_path / "settings"


def key(url, **settings):
    return key_for(EndpointConfig(url=url, **settings))


def test_a_key_that_nobody_allowed_stays_here():
    with pytest.raises(InputError) as raised:
        key("http://127.0.0.1:8400/v1", key_env="AWS_SECRET_ACCESS_KEY")
    assert str(raised.value) == (
        "the config wants the key in AWS_SECRET_ACCESS_KEY sent to 127.0.0.1:8400, which you have not allowed; if that "
        "is who gave it to you: selfedit keys allow AWS_SECRET_ACCESS_KEY 127.0.0.1:8400; if not, take key_env out of "
        "the config"
    )


def test_the_default_key_goes_to_its_issuer_and_is_left_out_elsewhere():
    assert key("https://api.openai.com/v1") == "secret-0123456789"
    for url in ("http://localhost:8000", "https://api.openai.com.evil.com", "https://api.openai.com:8443", "https://x"):
        assert key(url) == ""


def test_what_is_allowed_is_one_variable_at_one_host():
    allow_key("MY_KEY", "https://API.example.com/v1/")
    assert key("https://api.example.com/v2", key_env="MY_KEY") == "secret-0123456789"
    for url in ("https://api.example.com:8443", "https://example.com", "https://api.example.com.", "http://localhost"):
        with pytest.raises(InputError, match="you have not allowed"):
            key(url, key_env="MY_KEY")
    with pytest.raises(InputError, match="you have not allowed"):
        key("https://api.example.com", key_env="AWS_SECRET_ACCESS_KEY")


def test_what_is_taken_back_is_not_allowed():
    for _ in range(2):
        allow_key("MY_KEY", "a.com")
    allow_key("MY_KEY", "b.com")
    allow_key("MY_KEY", "https://a.com", allow=False)
    assert read_settings().keys == {"MY_KEY": ("b.com",)}
    allow_key("MY_KEY", "b.com", allow=False)
    assert read_settings().keys == {}


@pytest.mark.parametrize("url", ["http://api.openai.com", "http://10.0.0.5:8000/v1", "http://127.0.0.1.nip.io"])
def test_no_key_goes_in_the_clear_over_a_network(url):
    allow_key("MY_KEY", url)
    with pytest.raises(InputError, match=r"is not sent to .* by plain http"):
        key(url, key_env="MY_KEY")


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:9/v1", "http://127.9.9.9"])
def test_this_machine_needs_no_https(url):
    allow_key("MY_KEY", url)
    assert is_loopback(url) and key(url, key_env="MY_KEY") == "secret-0123456789"


def test_a_variable_that_is_not_set_or_not_named_is_no_key(monkeypatch):
    monkeypatch.delenv("MY_KEY")
    assert key("https://x", key_env="MY_KEY") == key("https://x", key_env="") == ""


@pytest.mark.parametrize(
    ("variable", "host"), [("sk-HIDDEN", "a.com"), ("KEY", "a b"), ("KEY", ""), ("KEY", "ftp://a")]
)
def test_what_is_no_variable_or_host_is_refused(variable, host):
    with pytest.raises(InputError) as raised:
        allow_key(variable, host)
    assert "HIDDEN" not in str(raised.value) and settings_path().exists() is False


@pytest.mark.parametrize("text", ["keys = 3", "[keys]\nA = 3", "[kesy]", "not toml", "\0"])
def test_settings_that_cannot_be_understood_allow_nothing(home, text):
    home.mkdir()
    (home / "settings.toml").write_text(text)
    with pytest.raises(InputError, match=r"settings\.toml"):
        key("https://x", key_env="MY_KEY")


@pytest.mark.parametrize("there", ["", ".", "relative"])
def test_settings_are_not_taken_from_the_folder_at_hand(monkeypatch, tmp_path, there):
    """Somebody else's folder could hold them."""
    monkeypatch.chdir(tmp_path)
    for name in ("selfedit", ".config/selfedit", "relative/selfedit"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "settings.toml").write_text('[keys]\nMY_KEY = ["x"]')
    monkeypatch.delenv("SELFEDIT_CONFIG_HOME")
    for home, xdg in ((there, ""), ("/nowhere", there)):
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("XDG_CONFIG_HOME", xdg)
        with pytest.raises(InputError, match="you have not allowed"):
            key("https://x", key_env="MY_KEY")


def test_without_a_home_that_can_be_written_it_says_what_to_set(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", str(tmp_path / "file" / "x"))
    with pytest.raises(InputError, match="set SELFEDIT_CONFIG_HOME to a folder that can be written"):
        allow_key("MY_KEY", "a.com")
    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", "relative")
    with pytest.raises(InputError, match="set SELFEDIT_CONFIG_HOME to the full path"):
        allow_key("MY_KEY", "a.com")


PIECES = [
    "http",
    "https://",
    "/",
    "\\",
    "@",
    ":",
    "#",
    "?",
    "a.com",
    ".",
    "443",
    "[",
    "]",
    "::1",
    "%2e",
    "\t",
    "é",
    "\u017f",
]


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join), st.sampled_from(["http://", "https://", "HTTPS://"]))
def test_the_host_that_is_looked_at_is_the_host_that_is_asked(rest, scheme):
    try:
        url = EndpointConfig(url=scheme + rest).url
        asked = httpx2.URL(url)
        host = asked.raw_host.decode()
    except (ValueError, httpx2.InvalidURL):
        return  # it is never asked
    host = f"[{host}]" if ":" in host else host
    port = asked.port or (443 if asked.scheme == "https" else 80)
    assert host_of(url) == (host if port == 443 else f"{host}:{port}")


def test_settings_are_for_the_user_alone(home):
    path = allow_key("MY_KEY", "a.com")
    assert path == home / "settings.toml" and os.stat(home).st_mode & 0o077 == 0
