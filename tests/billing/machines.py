"""How long the machines run: a little in `make test`, for long in `make machines`."""

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

LONG = "many"


def run(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """So many examples of so many steps; as many as its profile says in the long one."""
    is_long = settings.get_current_profile_name() == LONG
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings.default.max_examples if is_long else examples,
            stateful_step_count=steps,
            deadline=None,
        ),
    )
