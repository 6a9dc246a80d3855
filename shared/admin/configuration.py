"""What is wrong with the settings, and what is odd in them, as far as that shows without any call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import ConfigError
from shared.rest.certificates import certificate_problems
from shared.schedules import schedule_findings
from shared.settings import Settings
from shared.storage.account import Storage


@dataclass(frozen=True, slots=True)
class Configuration:
    """Looks through the settings for the status report."""

    environ: Mapping[str, str]
    storage: Storage
    settings: Callable[[], Settings]  # or `ConfigError` with every problem
    clock: Clock

    def findings(self) -> tuple[list[str], list[str]]:
        """Return the problems, and the warnings: what is allowed but probably unintended."""
        problems, warnings = schedule_findings(self.environ)
        warnings = [*self.storage.warnings(), *warnings]
        try:
            settings = self.settings()
        except ConfigError as error:
            return [*error.problems, *problems], warnings
        problems = [*certificate_problems(settings, self.clock.now()), *problems]
        return problems, [*settings.warnings, *warnings]
