"""Fetching files: addresses, locks, partial files, digests."""
