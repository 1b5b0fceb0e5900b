"""Where files may lie: Hugging Face, Google Drive, proxies, this machine; and who is told which secret."""

import shutil
import ssl
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from loopback import CONTENT, SHA256, Answer, Web, error, left, redirect, serve

from zoo.hub.fetching.address import local_path, token, web_address
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile


def wanted(*urls: str) -> RemoteFile:
    return RemoteFile("file.bin", urls, bytes=len(CONTENT), sha256=SHA256)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("hf://org/repo/file.bin", "org/repo/resolve/main/file.bin"),
        ("hf://org/repo@v1.0/a/b c.bin", "org/repo/resolve/v1.0/a/b%20c.bin"),
        ("hf://org/repo@refs/pr/3/a.bin", "org/repo/resolve/refs%2Fpr%2F3/a.bin"),
        ("hf://org/repo@feature%2Fx/a%20b.bin", "org/repo/resolve/feature%2Fx/a%20b.bin"),
        ("hf://datasets/org/repo/a.bin", "datasets/org/repo/resolve/main/a.bin"),
    ],
)
def test_hugging_face(monkeypatch: pytest.MonkeyPatch, url: str, path: str) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert web_address(url) == f"https://huggingface.co/{path}"
    monkeypatch.setenv("HF_ENDPOINT", "http://localhost:1234/hub/")
    assert web_address(url) == f"http://localhost:1234/hub/{path}"


@pytest.mark.parametrize("url", ["hf://repo/file.bin", "hf://org/repo", "hf://org/repo@", "hf://org/repo@v1"])
def test_what_is_no_file_at_hugging_face(tmp_path: Path, online: None, url: str) -> None:
    with pytest.raises(DownloadError, match=r"expected hf://ORGANISATION/REPOSITORY\[@REVISION\]/PATH"):
        fetch(RemoteFile("file.bin", (url,)), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://drive.google.com/uc?id=1ieX-W_o",
        "https://drive.google.com/uc?export=download&id=1ieX-W_o",
        "https://drive.google.com/open?id=1ieX-W_o",
        "https://drive.google.com/file/d/1ieX-W_o/view?usp=sharing",
        "https://drive.google.com/file/d/1ieX-W_o",
    ],
)
def test_google_drive(url: str) -> None:
    expected = "https://drive.usercontent.google.com/download?id=1ieX-W_o&export=download&confirm=t"
    assert web_address(url) == expected
    assert web_address(expected) == expected


def test_other_addresses_stay_as_they_are() -> None:
    for url in ("https://host/a/b.bin?x=1&y=%20", "http://[::1]:8000/a", "https://drive.google.com/about"):
        assert web_address(url) == url
    assert web_address("https://host/ä b.bin#part") == "https://host/%C3%A4%20b.bin"


def test_the_token_goes_to_hugging_face_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setenv("HF_TOKEN", " secret\n")
    assert token("https://huggingface.co/org/repo") == "secret"
    for other in ("http://huggingface.co/", "https://huggingface.co:444/", "https://huggingface.co.evil.org/", "x"):
        assert token(other) is None
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:99")
    assert token("https://huggingface.co/org/repo") is None
    assert token("http://127.0.0.1:99/x") == "secret"


def test_a_token_does_not_follow_a_redirect(
    tmp_path: Path, web: Web, mirror: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same server it goes along; to another host, or another port, it does not."""
    monkeypatch.setenv("HF_ENDPOINT", web.url("").rstrip("/"))
    monkeypatch.setenv("HF_TOKEN", "secret")
    web.misbehave(redirect("/org/new/resolve/main/file.bin", 307), path="org/repo/resolve/main/file.bin")
    web.misbehave(redirect(mirror.url("cdn")), path="org/new/resolve/main/file.bin")
    mirror.misbehave(redirect(web.url("elsewhere").replace("127.0.0.1", "localhost")), path="cdn")
    assert fetch(wanted("hf://org/repo/file.bin"), tmp_path).read_bytes() == CONTENT
    sent = [(seen.path, seen.headers.get("Authorization")) for seen in (*web.seen, *mirror.seen)]
    assert sent == [
        ("/org/repo/resolve/main/file.bin", "Bearer secret"),
        ("/org/new/resolve/main/file.bin", "Bearer secret"),
        ("/elsewhere", None),
        ("/cdn", None),
    ]


def test_no_token_for_a_server_of_somebody_else(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch(wanted(web.url()), tmp_path)
    assert "Authorization" not in web.seen[0].headers
    assert "secret" not in str(web.seen)


def test_a_private_repository(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", web.url("").rstrip("/"))
    web.misbehave(error(401), path="org/repo/resolve/main/file.bin", always=True)
    with pytest.raises(DownloadError, match=r"hf://org/repo/file\.bin: .* 401 Unauthorized \(HF_TOKEN is not set\)"):
        fetch(wanted("hf://org/repo/file.bin"), tmp_path)
    monkeypatch.setenv("HF_TOKEN", "secret")
    with pytest.raises(DownloadError) as caught:
        fetch(wanted("hf://org/repo/file.bin"), tmp_path)
    assert "not set" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_proxies_of_the_environment(tmp_path: Path, web: Web, mirror: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.url("").rstrip("/"))
    fetch(wanted("http://weights.invalid/file.bin"), tmp_path / "a")
    assert [seen.path for seen in web.seen] == ["http://weights.invalid/file.bin"]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetch(wanted(mirror.url()), tmp_path / "b")
    assert (len(web.seen), len(mirror.seen)) == (1, 1)


def test_files_of_this_machine(tmp_path: Path, online: None) -> None:
    source = tmp_path / "a b" / "sourcé.bin"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    for i, url in enumerate((source.as_uri(), str(source))):
        assert fetch(wanted(url), tmp_path / str(i)).read_bytes() == CONTENT
        assert left(tmp_path / str(i)) == ["file.bin"]
    assert local_path("https://host/file") is None
    assert local_path("hf://org/repo/file") is None


def test_files_of_this_machine_that_are_none(tmp_path: Path, online: None) -> None:
    (tmp_path / "short").write_bytes(b"short")
    cases = {
        str(tmp_path / "absent"): "No such file",
        (tmp_path / "absent").as_uri(): "No such file",
        str(tmp_path): "is no file",
        "/dev/zero": "is no file",
        "file://elsewhere/x": "the file of another machine",
        str(tmp_path / "short"): "has 5 bytes, expected 307,200",
    }
    with pytest.raises(DownloadError) as caught:
        fetch(wanted(*cases), tmp_path / "cache")
    for url, message in cases.items():
        assert f"{url}: {message}" in str(caught.value)
    assert left(tmp_path / "cache") == []


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: None) -> Web:
    """A server with a certificate that only this test trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        capture_output=True,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("this openssl makes no certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = Web()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def test_a_secure_server(tmp_path: Path, secure: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = threading.Thread(target=ThreadingHTTPServer.serve_forever, args=(secure, 0.02), daemon=True)
    thread.start()
    try:
        url = f"https://localhost:{secure.server_address[1]}/file.bin"
        secure.misbehave(serve(cut=100_000))
        assert fetch(wanted(url), tmp_path / "a").read_bytes() == CONTENT
        assert [seen.range for seen in secure.seen] == [None, "bytes=100000-"]

        def hang(answer: Answer) -> None:
            answer.server.stop.wait(60)

        secure.misbehave(hang)
        with pytest.raises(DownloadError, match=r"no connection: .*timed out"):
            fetch(wanted(url), tmp_path / "b", timeout=1, attempts=1)
        secure.misbehave(redirect(url.replace("https:", "http:")))
        with pytest.raises(DownloadError, match="redirects from https to http://localhost"):
            fetch(wanted(url), tmp_path / "b")
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(DownloadError, match=r"no connection: .*(?i:certificate)"):
            fetch(wanted(url), tmp_path / "b", attempts=1)
    finally:
        secure.stop.set()
        secure.shutdown()
        secure.server_close()
        thread.join()
