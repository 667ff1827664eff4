"""The virtual environment and its stamp, with real pip and a wheel made here."""

import ast
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from launch.environment import VirtualEnvironment
from launch.failures import CannotStart
from launch.progress import Progress
from tests.launch.conftest import REPOSITORY, Checkout


def wheel(directory: Path, version: str) -> Path:
    """A package `tiny` whose module tells its version."""
    path = directory / f"tiny-{version}-py3-none-any.whl"
    facts = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = '{version}'\n")
        archive.writestr(
            f"{facts}/METADATA",
            f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        )
        archive.writestr(
            f"{facts}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{facts}/RECORD", "")
    return path


class Project:
    """A checkout whose locks ask for `tiny`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "requirements").mkdir()
        self.environment = VirtualEnvironment(path, path / "install.log")

    def lock(self, name: str, version: str, digest: str | None = None) -> None:
        archive = wheel(self.path, version)
        digest = digest or hashlib.sha256(archive.read_bytes()).hexdigest()
        (self.path / "requirements" / f"{name}.txt").write_text(
            f"--no-index\n--find-links {self.path}\n"
            f"tiny=={version} \\\n    --hash=sha256:{digest}\n"
        )

    def ensure(self, name: str) -> str:
        """What is said while it is made; nothing when it was as it has to be."""
        said = io.StringIO()
        self.environment.ensure(name, Progress(said))
        return said.getvalue()

    def installed(self) -> str:
        tell = [str(self.environment.python), "-c", "import tiny; print(tiny.VERSION)"]
        said = subprocess.run(tell, capture_output=True, text=True, check=True)
        return said.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    for name in ("base", "local", "dev"):
        project.lock(name, "1.0")
    return project


def test_environment_is_made_once_and_follows_the_lock(project: Project) -> None:
    python = project.environment.python
    python.parent.mkdir(parents=True)
    python.symlink_to(project.path / "a Python that was removed since")

    said = project.ensure("local")

    assert "Making the virtual environment" in said
    assert "Installing packages" in said
    assert project.installed() == "1.0"
    assert project.ensure("local") == project.ensure("base") == ""

    project.lock("local", "2.0")

    assert "Making" not in project.ensure("local")
    assert project.installed() == "2.0"

    assert project.ensure("dev") != ""
    assert project.installed() == "1.0"
    assert project.ensure("local") == ""

    # What a killed pip leaves cannot be trusted.
    (project.environment.path / "purser-unfinished").touch()

    assert "Making the virtual environment" in project.ensure("dev")
    assert project.installed() == "1.0"

    project.lock("dev", "2.0", digest="0" * 64)

    with pytest.raises(CannotStart, match=r"pip could not install requirements/dev\.txt"):
        project.ensure("dev")


def test_lock_can_have_an_environment_of_its_own(project: Project) -> None:
    project.lock("bench", "3.0")
    own = VirtualEnvironment(project.path, project.path / "install.log", "var/bench")

    own.ensure("bench", Progress(io.StringIO()))

    tell = [str(own.python), "-c", "import tiny; print(tiny.VERSION)"]
    said = subprocess.run(tell, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "3.0"
    assert own.path == project.path / "var" / "bench"
    assert not project.environment.path.exists()


def test_python_without_venv_is_told(bare_checkout: Checkout) -> None:
    stub = bare_checkout.write("stub/ensurepip.py", "raise ModuleNotFoundError\n").parent

    run = bare_checkout.launch("up", PYTHONPATH=str(stub))

    _, said = run.communicate(timeout=10)
    assert run.returncode == 2
    assert said.count("\n") == 1
    assert "apt install python3-venv" in said


def test_old_python_can_read_that_it_is_too_old() -> None:
    source = (REPOSITORY / "launch" / "__main__.py").read_text()

    tree = ast.parse(source, feature_version=(3, 4))

    first, check, *_ = [n for n in tree.body if not isinstance(n, ast.Expr)]
    assert ast.unparse(first) == "import sys"
    assert ast.unparse(check).startswith("if sys.version_info < (3, 11)")


def test_launcher_needs_nothing_but_the_standard_library() -> None:
    bare = [sys.executable, "-I", "-S", "-c"]
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import launch.commands"

    subprocess.run([*bare, code], check=True)
