"""Make the virtual environment that `make` works in: `python3 set_up_environment.py .venv`.

Runs on the bare system Python (3.10 or newer, standard library only). What every command needs must install;
what only some test suites need may be missing for this Python or platform, and is then named.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CPU_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class OptionalPart:
    """An extra of pyproject.toml that has wheels for some Python versions and platforms only."""

    extra: str
    without_it: str


OPTIONAL_PARTS = (
    OptionalPart("slicer", "the suite on Slicer's engine (Testing/Slicer) will be left out"),
    OptionalPart("gui", "the suite of the panels (Testing/Gui) will be left out"),
    OptionalPart("nnunet-check", "nnU-Net's own check of exported data sets will be left out"),
)

# Enough for the check that nnU-Net runs over a data set. With what they need to train, they would bring
# gigabytes that no test uses.
NNUNET_CHECK = ("acvl-utils>=0.2.6", "batchgenerators>=0.25.1", "nnunetv2>=2.6")


def main() -> int:
    if sys.version_info < (3, 10):  # noqa: UP036 - this file alone runs on whatever Python the machine has
        print(
            f"PGT Toolkit needs Python 3.10 or newer; this is {platform.python_version()}.", file=sys.stderr
        )
        print("Name another one: make PYTHON=python3.12", file=sys.stderr)
        return 2
    environment = Path(sys.argv[1])
    python = environment / "bin" / "python"
    if not python.exists() and not make_environment(environment):
        return 2
    if wants_cpu_torch():
        # Torch alone from here: on Linux the general index offers the CUDA build, gigabytes larger.
        pip(
            python,
            "--no-deps",
            "--retries=1",
            "--timeout=20",
            "--index-url",
            CPU_TORCH_INDEX,
            "torch",
            quiet_failure=True,
        )
    if not pip(python, "--editable", f"{PROJECT}[dev,cluster,export]"):
        return 1
    for part in OPTIONAL_PARTS:
        if not pip(python, "--only-binary=:all:", "--editable", f"{PROJECT}[{part.extra}]"):
            print(f"\n*** No [{part.extra}] packages for Python {platform.python_version()} on", end=" ")
            print(f"{platform.system()} {platform.machine()}: {part.without_it}. ***\n")
    if not pip(python, "--no-deps", *NNUNET_CHECK):
        print("\n*** No nnunetv2: nnU-Net's own check of exported data sets will be left out. ***\n")
    return 0


def make_environment(environment: Path) -> bool:
    """Create the environment; on failure say what Debian calls the missing piece."""
    print(f"Making {environment} with Python {platform.python_version()} ({sys.executable})", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(environment)], check=False)
    if made.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        print(
            f"Could not make {environment}. On Debian and Ubuntu: apt-get install python{version}-venv",
            file=sys.stderr,
        )
    return made.returncode == 0


def wants_cpu_torch() -> bool:
    return platform.system() == "Linux" and not Path("/proc/driver/nvidia/version").exists()


def pip(python: Path, *arguments: str, quiet_failure: bool = False) -> bool:
    """Install under the project's constraints; True when pip succeeded."""
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        str(PROJECT / "constraints.txt"),
    ]
    print(f"pip install {arguments[-1]}", flush=True)
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    stderr = subprocess.DEVNULL if quiet_failure else None
    return subprocess.run([*command, *arguments], env=environment, stderr=stderr, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
