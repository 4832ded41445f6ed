"""A PostgreSQL server of its own for a test: it is started below a temporary folder, and ended by its process id."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, PASSWORD = "din", "pa ss'55"  # the password has what ml-metadata would not quote
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # where Debian installs it


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """Yields the query of the server's UNIX socket, e.g. `host=/tmp/…`, for the URL of a database. Skips the test if there is no server."""
    programs = shutil.which("initdb") or (_PROGRAMS[-1] if _PROGRAMS else None)
    if programs is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    as_user = []
    if os.geteuid() == 0:  # initdb refuses root
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam("postgres")
            as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        if not as_user:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="din-pg-", dir="/tmp") as name:  # the path of a socket has at most 107 bytes
        folder, bin_folder = Path(name), Path(programs).resolve().parent
        if as_user:
            os.chown(folder, account.pw_uid, account.pw_gid)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        data = folder / "data"
        made = [bin_folder / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        subprocess.run([*as_user, *made], check=True, capture_output=True, cwd=folder)
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off"}
        options = [f"-c{key}={value}" for key, value in settings.items()]
        server = subprocess.Popen(
            [*as_user, bin_folder / "postgres", "-D", data, *options],
            cwd=folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            for line in server.stderr:
                if "ready to accept connections" in line:
                    break
            else:
                pytest.fail("PostgreSQL ended while it started")
            yield f"host={folder}"
        finally:
            server.terminate()
            server.communicate()
