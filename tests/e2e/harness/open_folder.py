"""A temporary folder that programs of other users reach: pytest's own are root's alone."""

import contextlib
import os
import pathlib
import tempfile


@contextlib.contextmanager
def open_folder(uid=0):
    """It belongs to `uid`, and is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="outrigger-", ignore_cleanup_errors=True) as name:
        os.chown(name, uid, uid)
        os.chmod(name, 0o755)
        yield pathlib.Path(name)
