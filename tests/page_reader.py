"""Reading a page more strictly than a browser does."""

from html.parser import HTMLParser

_EMPTY = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Reads a page; fails where a tag is not closed in turn, or an attribute comes twice.

    Attributes:
        tags: (tag, its attributes), in their order.
        text: What a reader sees.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._parts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    @property
    def words(self) -> str:
        """The text with one space between any two words or elements."""
        return " ".join(" ".join(self._parts).split())

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open, tag
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data
            self._parts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def check_self_contained(self):
        """Neither scripts nor anything from elsewhere."""
        assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in self.tags}
        for tag, attributes in self.tags:
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
            for name in ("src", "href"):
                if name in attributes and tag != "a":
                    assert attributes[name].startswith("data:image/"), (tag, attributes)
