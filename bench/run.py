"""Runs every benchmark, each in a process of its own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = (("chunks.py",), ("chunks.py", "--sdk"), ("ingest.py",), ("streams.py",))


def main() -> None:
    """Run them one after another; stop at the first that cannot run."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for program, *options in PROGRAMS:
        subprocess.run([sys.executable, str(HERE / program), *options], check=True, cwd=HERE)


if __name__ == "__main__":
    main()
