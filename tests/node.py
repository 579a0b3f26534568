"""Packages of node's that tests run, at the versions of their lock files."""

import shutil
import subprocess
from pathlib import Path

import pytest


def installed(folder: Path) -> Path:
    """Return the folder, its packages in place; skip where they cannot be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    if not (folder / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            if "EINTEGRITY" in done.stderr or "EUSAGE" in done.stderr:
                pytest.fail(done.stderr)
            pytest.skip(f"the packages cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return folder
