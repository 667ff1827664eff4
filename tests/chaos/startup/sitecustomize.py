"""Python runs this at the start of each process that has this directory in PYTHONPATH.

`CHAOS_STARTUP` names modules, each with `TARGET`, a module of the product, and
`plant(target)`, which changes it as soon as it has been imported. So a process can be
given a fault, and the product has no switch for one.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Planter(MetaPathFinder):
    """Finds the targets as usual, and has them changed when they are complete."""

    def __init__(self, plants: dict[str, Callable[[ModuleType], None]]) -> None:
        self._plants = plants

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        plant = self._plants.get(name)
        spec = PathFinder.find_spec(name, path, target) if plant else None
        if plant is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_plant(module: ModuleType) -> None:
            execute(module)
            plant(module)

        spec.loader.exec_module = execute_and_plant  # type: ignore[method-assign]
        return spec


_modules = [
    importlib.import_module(name) for name in os.environ["CHAOS_STARTUP"].split(",") if name
]
sys.meta_path.insert(0, _Planter({module.TARGET: module.plant for module in _modules}))
