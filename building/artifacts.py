"""What `sam build` left: each function's folder with its layers', how large they are, what machine they are for.

Layers that no function has are no business of this: the template may carry other things as layers, since they are what
`sam deploy` uploads as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchmill.local.translate import read_template

ELF_MACHINES = {62: "x86_64", 183: "arm64"}
"""The number of a machine in an ELF file's header, and Lambda's name of it."""
_PLATFORM_NAMES = {"x86_64": ("x86_64", "x86-64"), "arm64": ("aarch64", "arm64")}


@dataclass(frozen=True)
class Artifact:
    """A built function. `layers` are the folders that Lambda unpacks; their `python` folders are on the path."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]

    @property
    def module(self) -> str:
        """The handler's module."""
        return self.handler.rpartition(".")[0]

    @property
    def path(self) -> list[str]:
        """Where Lambda looks for modules, in its order."""
        return [str(self.code), *(str(layer / "python") for layer in self.layers)]

    @property
    def size(self) -> int:
        """Bytes unzipped, layers included. AWS's limit is 250 MiB."""
        return sum(size_of(folder) for folder in (self.code, *self.layers))

    def has(self, package: str) -> bool:
        """Whether a package is in the code or in one of the layers."""
        return any((Path(folder) / package).is_dir() for folder in self.path)


def read(build: Path) -> list[Artifact]:
    """The functions of a build folder's template. Raises TemplateError where there is none."""
    document = read_template(build / "template.yaml")
    resources: dict[str, Any] = document["Resources"]
    shared = document.get("Globals", {}).get("Function", {})

    def folder(layer: dict[str, str]) -> Path:
        return build / str(resources[layer["Ref"]]["Properties"]["ContentUri"])

    found = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"]
            layers = [*shared.get("Layers", []), *own.get("Layers", [])]
            code = build / own.get("CodeUri", shared.get("CodeUri"))
            found.append(Artifact(name, own["Handler"], code, tuple(folder(layer) for layer in layers)))
    return found


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def foreign(build: Path, architecture: str) -> Iterator[str]:
    """What is not for an architecture, by an extension's ELF header or its name, one line each."""
    others = [name for other, names in _PLATFORM_NAMES.items() if other != architecture for name in names]
    for path in sorted(build.rglob("*.so*")):
        shown = path.relative_to(build)
        machine = elf_machine(path)
        if machine is not None and machine != architecture:
            yield f"{shown} is for {machine}"
        elif any(name in path.name for name in others):
            yield f"{shown} is named for another machine than {architecture}"
        elif ".cpython-" in path.name and ".cpython-313" not in path.name:
            yield f"{shown} is for another Python than 3.13"


def elf_machine(path: Path) -> str | None:
    """The machine that an ELF file is for; None for other files."""
    with path.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF":
        return None
    return ELF_MACHINES.get(int.from_bytes(header[18:20], "little"), "an unknown machine")
