"""The demo's records, posted once beside a service that answers already."""

from launch import processes
from launch.progress import Progress
from launch.supervisor import ChildService

# How the lines begin that tell how far `manage.py seed_demo` is.
_HOW_FAR = "Demo usage"


class Seeding:
    """An errand of the supervisor: what it says in its log is shown as it goes on.

    Where everything is there already it says nothing, and nor do we.
    """

    def __init__(self, child: ChildService, progress: Progress) -> None:
        self.child = child
        self._progress = progress

    def look(self) -> None:
        self._progress.line.show(self._how_far())

    def ended(self, code: int | None) -> None:
        if code != 0:
            self._progress.say(
                "The demo's records could not all be posted; what was said is in"
                f" {self.child.log}. The next start goes on with them."
            )
        elif self._how_far():
            self._progress.say(self._how_far())

    def _how_far(self) -> str:
        said = processes.tail(self.child.log, since=self.child.log_start)
        return next((line for line in reversed(said) if line.startswith(_HOW_FAR)), "")
