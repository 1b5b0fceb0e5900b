"""Adding weights to a hub, and showing them: records, cards, pages, upload, server."""
