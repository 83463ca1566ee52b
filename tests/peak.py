"""The most memory that a process of a test has held.

Not ru_maxrss: a new process inherits that of the one that started it, and a worker of pytest has held gigabytes.
"""

from pathlib import Path


def peak_mb() -> float:
    """Of this process, in MB of 2**20 bytes. Linux only."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024
