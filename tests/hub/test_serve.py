import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner

from zoo.cli.hub.serve import command
from zoo.errors import ZooError
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import RemoteFile
from zoo.hub.hubs import Hub
from zoo.hub.publishing.serve import Server

CONTENT = bytes(range(256)) * 40_000


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "hub"
    (folder / "net.toys").mkdir(parents=True)
    (folder / "index.json").write_text('{"schema": 1, "records": []}')
    (folder / "index.html").write_text("<p>hello")
    (folder / "net.toys" / "x.safetensors").write_bytes(CONTENT)
    (folder / "net.toys" / "README.md").write_text("# x")
    (folder / "net.toys" / "empty.bin").write_bytes(b"")
    (folder / "net.toys" / "ünï &<.jpg").write_bytes(b"jpeg")
    (folder / ".hidden").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "leak.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def server(folder):
    with Server(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", **headers):
    """Status, headers, body."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.headers, response.read()


X = "/net.toys/x.safetensors"


def test_whole_files(server):
    status, headers, body = ask(server, X)

    assert (status, body) == (200, CONTENT)
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "application/octet-stream"
    assert re.fullmatch(r'"[0-9a-f-]+"', headers["ETag"])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/index.json", "application/json"),
        ("/index.json?x=1#y", "application/json"),
        ("/net.toys/README.md", "text/markdown; charset=utf-8"),
        ("/net.toys/%C3%BCn%C3%AF%20&%3C.jpg", "image/jpeg"),
        ("//net.toys/../../index.json", None),
    ],
)
def test_content_types(server, path, kind):
    status, headers, _ = ask(server, path)

    assert (status, headers["Content-Type"]) == (200, kind) if kind else status == 404


def test_head_has_no_body(server):
    _, expected, _ = ask(server, X)
    status, headers, body = ask(server, X, "HEAD")

    assert (status, body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
        assert headers[name] == expected[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-50", len(CONTENT) - 50, len(CONTENT)),
        (f"bytes=5-{10**30}", 5, len(CONTENT)),
        (f"bytes=-{10**30}", 0, len(CONTENT)),
    ],
)
def test_ranges(server, asked, start, end):
    status, headers, body = ask(server, X, Range=asked)

    assert (status, body) == (206, CONTENT[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-5,7-9", "lines=0-5", "bytes=9-5", "bytes=-", "bytes=a-b", "nonsense"])
def test_ranges_that_are_passed_over(server, asked):
    assert ask(server, X, Range=asked)[::2] == (200, CONTENT)


@pytest.mark.parametrize(
    ("path", "asked"), [(X, f"bytes={len(CONTENT)}-"), (X, "bytes=-0"), ("/net.toys/empty.bin", "bytes=0-")]
)
def test_ranges_beyond_the_end(server, path, asked):
    status, headers, _ = ask(server, path, Range=asked)

    assert status == 416
    assert headers["Content-Range"].startswith("bytes */")


def test_a_range_of_a_file_that_has_changed_is_the_whole(server, folder):
    tag = ask(server, X)[1]["ETag"]
    assert ask(server, X, Range="bytes=10-", If_Range=tag)[0] == 206
    (folder / "net.toys" / "x.safetensors").write_bytes(CONTENT[::-1])

    status, headers, body = ask(server, X, Range="bytes=10-", If_Range=tag)

    assert (status, body) == (200, CONTENT[::-1])
    assert headers["ETag"] != tag


def test_a_range_by_date(server):
    changed = ask(server, X)[1]["Last-Modified"]

    assert ask(server, X, Range="bytes=10-", If_Range=changed)[0] == 206
    assert ask(server, X, Range="bytes=10-", If_Range="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 200


def test_what_is_known_is_not_sent_again(server):
    tag = ask(server, X)[1]["ETag"]

    assert ask(server, X, If_None_Match=f'"other", W/{tag}')[::2] == (304, b"")
    assert ask(server, X, If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/net.toys/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/net.toys/%2e%2e%2f%2e%2e%2foutside.txt",
        "/..%5coutside.txt",
        "/leak.txt",
        "/.hidden",
        "/.index.json.lock",
        "/%00",
        "/%ff",
        "/c:/x",
        "/absent",
        "/" + "a" * 5000,
        "//[::1",
        "/index.json/x",
    ],
)
def test_nothing_else_is_served(server, path):
    status, _, body = ask(server, path)

    assert status == 404
    assert b"secret" not in body


def test_folders(server):
    status, headers, _ = ask(server, "/net.toys")
    assert (status, headers["Location"]) == (301, "net.toys/")
    status, _, body = ask(server, "/net.toys/")
    assert status == 200
    assert "%C3%BCn%C3%AF%20%26%3C.jpg" in body.decode()
    assert "ünï &amp;&lt;.jpg" in body.decode()


def test_other_methods_are_refused(server):
    assert ask(server, "/", "POST")[0] == 501
    assert ask(server, "/index.json", "DELETE")[0] == 501


def test_one_connection_serves_many_requests(server):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    with contextlib.closing(connection):
        for path, code in [("/index.json", 200), ("/absent", 404), (X, 200), ("/net.toys", 301), ("/", 200)]:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == code


def test_clients_at_once_and_one_that_goes_away(server, capsys):
    with socket.create_connection(server.server_address[:2]) as rude:
        rude.sendall(b"GET /net.toys/x.safetensors HTTP/1.1\r\nHost: x\r\n\r\n")
        rude.recv(10)
    results = []
    threads = [threading.Thread(target=lambda: results.append(ask(server, X)[2])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [CONTENT] * 4
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("online")
def test_our_own_downloads(server, tmp_path, monkeypatch):
    import hashlib

    assert Hub(server.address).records() == []
    file = RemoteFile("x.bin", (server.address + X,), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert fetch(file, tmp_path / "cache").read_bytes() == CONTENT

    # Interrupted half way, and continued with a range.
    asked = []
    handler = server.RequestHandlerClass
    real = handler._copy

    def cut(self, source, start, end):
        asked.append(start)
        if len(asked) == 1:
            real(self, source, start, start + 3_000_000)
            self.close_connection = True
        else:
            real(self, source, start, end)

    monkeypatch.setattr(handler, "_copy", cut)
    assert fetch(file, tmp_path / "second").read_bytes() == CONTENT
    assert asked == [0, 3_000_000]


def test_a_port_in_use(server, folder):
    port = server.server_address[1]

    with pytest.raises(ZooError, match=rf"port {port}: .*; choose another --port"):
        Server(folder, port=port)
    result = CliRunner().invoke(command, [str(folder), "--port", str(port)])
    assert isinstance(result.exception, ZooError)


@pytest.mark.parametrize(("host", "port"), [("999.1.1.1", 0), ("127.0.0.1", 70_000), ("203.0.113.7", 0)])
def test_places_that_cannot_be_listened_at(folder, host, port):
    with pytest.raises(ZooError, match="cannot listen at"):
        Server(folder, host, port)


def test_a_folder_that_is_no_hub(tmp_path):
    with pytest.raises(ZooError, match=r"is no hub: there is no index\.json"):
        Server(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="other signals")
def test_the_command_until_ctrl_c(folder, root):
    code = "import sys; from zoo.cli.hub.serve import command; command(sys.argv[1:])"
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        lines = [child.stdout.readline() for _ in range(2)]
        address = re.fullmatch(r"export ZOO_HUB=(http://127\.0\.0\.1:(\d+))\n", lines[1])
        assert address, lines
        with socket.create_connection(("127.0.0.1", int(address[2]))) as idle:
            time.sleep(0.05)
            child.send_signal(signal.SIGINT)
            out, error = child.communicate(timeout=10)
            idle.close()
    finally:
        child.kill()
    assert child.returncode == 0
    assert (out, error) == ("", "stopped\n")
