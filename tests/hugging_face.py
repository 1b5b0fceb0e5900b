"""A stand-in for Hugging Face on this machine: what `huggingface_hub` asks when it makes a repository and commits."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

_REGULAR = (".json", ".md", ".html", ".gitattributes")


class HuggingFace(ThreadingHTTPServer):
    """Repositories in memory.

    Attributes:
        repos: Name → list of commits, each path → content; the first has `.gitattributes`, as there.
        large: sha256 → content of files that came through LFS.
        token: What it wants to see; None lets everybody in.
        messages: Of the commits.
        before_commit: Called once before the next commit, when it is asked for.
        asked: (method, path) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repos: dict[str, list[dict[str, bytes]]] = {}
        self.large: dict[str, bytes] = {}
        self.token: str | None = None
        self.messages: list[str] = []
        self.before_commit = None
        self.asked: list[tuple[str, str]] = []
        self.uploads = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, repo: str) -> dict[str, bytes]:
        return self.repos[repo][-1]

    def commit(self, repo: str, **changes: bytes) -> None:
        """Somebody else's commit."""
        self.repos[repo].append({**self.files(repo), **changes})


def sha(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    server: HuggingFace
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._dispatch("GET")

    def do_HEAD(self) -> None:
        self._dispatch("HEAD")

    def do_POST(self) -> None:
        self._dispatch("POST")

    def do_PUT(self) -> None:
        self._dispatch("PUT")

    def _dispatch(self, method: str) -> None:
        path = unquote(self.path.partition("?")[0])
        self.server.asked.append((method, path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = self.server.token
        if wanted is not None and "/lfs-store/" not in path and self.headers.get("Authorization") != f"Bearer {wanted}":
            return self._say(401, {"error": "Invalid username or password."})
        for pattern, answer in _ROUTES:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return answer(self, body, *found.groups())
        return self._say(404, {"error": f"no such thing: {method} {path}"})

    def _say(self, code: int, what: object, **headers: str) -> None:
        content = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.server.repos:
            return self._say(
                409, {"error": "You already created this model repo", "url": f"{self.server.address}/{repo}"}
            )
        self.server.repos[repo] = [{".gitattributes": b"*.safetensors filter=lfs"}]
        return self._say(200, {"url": f"{self.server.address}/{repo}"})

    def info(self, body: bytes, repo: str, revision: str) -> None:
        if repo not in self.server.repos or revision != "main":
            return self._say(404, {"error": "Repository not found"}, X_Error_Code="RevisionNotFound")
        siblings = [{"rfilename": name} for name in self.server.files(repo)]
        return self._say(200, {"id": repo, "sha": sha(len(self.server.repos[repo])), "siblings": siblings})

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> None:
        commits = {sha(number): files for number, files in enumerate(self.server.repos[repo], start=1)}
        commits["main"] = self.server.files(repo)
        content = commits.get(revision, {}).get(name)
        if content is None:
            return self._say(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        head = revision if revision != "main" else sha(len(self.server.repos[repo]))
        return self._say(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=head)

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        files = [
            {"path": file["path"], "uploadMode": "regular" if file["path"].endswith(_REGULAR) else "lfs"}
            for file in json.loads(body)["files"]
        ]
        self._say(200, {"files": [{**file, "shouldIgnore": False} for file in files]})

    def batch(self, body: bytes, repo: str) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.server.large:
                entry["actions"] = {"upload": {"href": f"{self.server.address}/lfs-store/{wanted['oid']}"}}
            objects.append(entry)
        self._say(200, {"transfer": "basic", "objects": objects})

    def store(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.large[oid] = body
        self.server.uploads += 1
        self._say(200, b"")

    def commit(self, body: bytes, repo: str, revision: str) -> None:
        hook, self.server.before_commit = self.server.before_commit, None
        if hook is not None:
            hook()
        lines = [json.loads(line) for line in body.splitlines()]
        head = next(line["value"] for line in lines if line["key"] == "header")
        if head.get("parentCommit") not in (None, sha(len(self.server.repos[repo]))):
            return self._say(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = dict(self.server.files(repo))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.server.repos[repo].append(files)
        self.server.messages.append(head["summary"])
        number = sha(len(self.server.repos[repo]))
        return self._say(200, {"commitOid": number, "commitUrl": f"{self.server.address}/{repo}/commit/{number}"})

    def yaml(self, body: bytes) -> None:
        self._say(200, {"errors": [], "warnings": []})


_ROUTES = [
    (r"POST /api/repos/create", _Answer.create),
    (r"GET /api/models/([^/]+/[^/]+)/revision/(.+)", _Answer.info),
    (r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Answer.resolve),
    (r"POST /api/models/([^/]+/[^/]+)/preupload/(.+)", _Answer.preupload),
    (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", _Answer.batch),
    (r"PUT /lfs-store/(\w+)", _Answer.store),
    (r"POST /api/models/([^/]+/[^/]+)/commit/(.+)", _Answer.commit),
    (r"POST /api/validate-yaml", _Answer.yaml),
]


@contextmanager
def hugging_face() -> Iterator[HuggingFace]:
    server = HuggingFace()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
