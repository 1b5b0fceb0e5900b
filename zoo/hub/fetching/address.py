"""What an address means: the request behind ``hf://``, Google Drive's links, and plain paths."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from zoo.hub.fetching.file import DownloadError, is_path

_HUGGING_FACE = "https://huggingface.co"
_HF = re.compile(
    r"hf://(?P<repo>(?:(?:datasets|spaces)/)?[^/@?#]+/[^/@?#]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?/(?P<path>.+)"
)
_DRIVE = re.compile(r"https?://(?:drive|docs)\.google\.com/(?:uc|open|file/d/(?P<id>[\w-]+))(?:[/?].*)?")
_KEPT = "%/:=&?~#+!$,;'@()*[]"  # what an address may hold as it is


def local_path(url: str) -> Path | None:
    """The file behind ``file://`` or a plain path; None for addresses of the network."""
    if is_path(url):
        return Path(url).expanduser()
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if parts.netloc not in ("", "localhost"):
        raise DownloadError(f"{url}: the file of another machine; write file:///path with three slashes")
    from urllib.request import url2pathname  # slow to import, and rarely needed

    return Path(url2pathname(parts.path))


def web_address(url: str) -> str:
    """The ``http(s)://`` address to ask for.

    ``hf://org/repo[@revision]/path`` is resolved at ``$HF_ENDPOINT``, by default huggingface.co. Google Drive answers
    its old links with a page that asks for confirmation where the file is large: the address behind that page is
    taken.

    Raises:
        DownloadError: ``hf://`` without an organisation, a repository and a path.
    """
    if url.startswith("hf:"):
        found = _HF.fullmatch(url)
        if found is None:
            raise DownloadError(f"{url}: expected hf://ORGANISATION/REPOSITORY[@REVISION]/PATH")
        revision = quote(unquote(found["revision"] or "main"), safe="")
        return f"{hugging_face()}/{quote(found['repo'])}/resolve/{revision}/{quote(unquote(found['path']))}"
    if drive := _DRIVE.fullmatch(url):
        number = drive["id"] or next(iter(parse_qs(urlsplit(url).query).get("id", ())), None)
        if number:
            return f"https://drive.usercontent.google.com/download?id={quote(number)}&export=download&confirm=t"
    return quote(url.partition("#")[0], safe=_KEPT)


def hugging_face() -> str:
    """The address of Hugging Face, or of what stands in for it."""
    return (os.environ.get("HF_ENDPOINT") or _HUGGING_FACE).rstrip("/")


def token(address: str) -> str | None:
    """``$HF_TOKEN`` for an address at Hugging Face's host, None for every other."""
    if origin(address) != origin(hugging_face()):
        return None
    return os.environ.get("HF_TOKEN", "").strip() or None


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: who is asked."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
