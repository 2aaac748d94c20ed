"""Say what keeps Viva from being installed or served here, before anything is downloaded.

    preflight.py install FOLDER     Python, its venv module, free disk
    preflight.py serve HOST PORT    the port; an empty HOST or PORT means the configured one

Each fault is one line that ends with its repair. Standard library only, and no syntax newer than
Python 3.6: an old Python must get as far as saying that it is too old.
"""

import errno
import importlib.util
import os
import shutil
import socket
import sys

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 4 * 10**9
"""The CPU build of torch and everything else take about 2 GB installed, plus their downloads."""

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


def old_python(version=sys.version_info):
    """Return the fault of an interpreter that is too old, or an empty string."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return ""
    return (
        f"Python {version[0]}.{version[1]} is too old: Viva needs 3.11 or newer. "
        "Name one that is: make PYTHON=python3.12 (and the target)"
    )


def missing_venv(find_spec=importlib.util.find_spec):
    """Return the fault of a Python that cannot make environments, or an empty string."""
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if not missing:
        return ""
    return (
        f"This Python has no {' and no '.join(missing)} module, so it cannot make .venv. "
        "Install them (Debian, Ubuntu: apt install python3-venv), or name another Python: "
        "make PYTHON=python3.12 (and the target)"
    )


def low_disk(folder, free_bytes=None):
    """Return the fault of a folder without room for an environment, or an empty string."""
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    if free >= LEAST_FREE_BYTES:
        return ""
    return (
        f"Only {free / 1e9:.1f} GB are free in {folder}; the installation needs 4 GB. "
        "Free some space, or work from a copy on another disk."
    )


def busy_port(host, port):
    """Return the fault of an address that cannot be listened on, or an empty string."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            if os.name == "posix":
                # A port whose last connections are still closing is free for a server.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return (
                f"Port {port} of {host} is busy; is Viva running already? "
                f"Take another: make serve PORT={port + 1 if port < 65535 else DEFAULT_PORT}"
            )
        reason = error.strerror or error
        return f"Cannot listen on {host}, port {port}: {reason}. Choose others: HOST=… PORT=…"
    return ""


def configured_address(host, port, environment=os.environ, settings_file="viva.toml"):
    """Return host and port as `viva serve` will take them: argument, environment, file, default.

    Values that cannot be used are left to `viva`, which says what is wrong with them.
    """
    from_file = _settings(settings_file)
    chosen_host = host or environment.get("VIVA_HOST") or from_file.get("host") or DEFAULT_HOST
    for candidate in (port, environment.get("VIVA_PORT"), from_file.get("port")):
        if str(candidate or "").isdigit() and int(candidate) <= 65535:
            return str(chosen_host), int(candidate)
    return str(chosen_host), DEFAULT_PORT


def main(arguments):
    """Print the faults of one step on stderr. Returns the exit status."""
    if arguments[:1] == ["install"] and len(arguments) == 2:
        faults = [old_python(), missing_venv(), low_disk(arguments[1])]
    elif arguments[:1] == ["serve"] and len(arguments) == 3:
        faults = [busy_port(*configured_address(*arguments[1:]))]
    else:
        sys.stderr.write(__doc__ or "")
        return 2
    for fault in filter(None, faults):
        sys.stderr.write(fault + "\n")
    return 1 if any(faults) else 0


def _settings(file):
    try:
        import tomllib

        with open(file, "rb") as stream:
            return tomllib.load(stream)
    except (ImportError, OSError, ValueError):
        return {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
