"""Uploaded bytes, named by their sha256: `keeping` has the domain, `partial` files on their way, `rows` who owns what."""
