"""All checks of a model in their order; what fails early leaves nothing to ask of later ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from driftune.config import Config
from driftune.deployment.check_model.inputs import check_inputs
from driftune.deployment.check_model.loading import load
from driftune.deployment.check_model.outputs import check_outputs, check_predictions
from driftune.deployment.check_model.places import Place, check_places, usable_places
from driftune.deployment.check_model.repeats import check_alone, check_mode, check_repeats
from driftune.deployment.check_model.sample import Progress, sample
from driftune.deployment.check_model.speed import Speed, measure, told
from driftune.deployment.check_model.subject import Finding, Subject, reason
from driftune.deployment.check_model.trial import check_trial
from driftune.errors import ConfigError, DriftuneError

Check = Callable[[Subject], Iterator[Finding]]
# The checks of a group are all made; a later group only where nothing is wrong in the ones before.
_GROUPS: list[list[Check]] = [
    [check_inputs, check_outputs],
    [check_mode, check_repeats],
    [check_alone, check_predictions, check_places],
    [check_trial],
]


@dataclass
class Report:
    """What was found; ``places`` that can be adapted, and ``speed`` where it came to that."""

    findings: list[Finding] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    speed: Speed | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.mark != "wrong" for finding in self.findings)


def check_model(config: Config, count: int, progress: Progress | None = None) -> Report:
    """Check the configured recommender on so many reference rows; writes caches alone."""
    report = Report()
    try:
        encoder, rows, held_out = sample(config, count, progress)
        model, findings = load(config, encoder)
    except DriftuneError as error:
        report.findings.append(Finding(str(error), "wrong"))
        return report
    report.findings += findings
    subject = Subject(config, model, encoder.sizes, rows, held_out)
    for group in _GROUPS:
        for check in group:
            report.findings += _findings(check, subject)
        if not report.ok:
            report.findings.append(Finding("not checked further", "warn", "correct these first"))
            return report

    def places(subject: Subject) -> Iterator[Finding]:
        report.places = usable_places(subject)
        yield from ()

    def speed(subject: Subject) -> Iterator[Finding]:
        report.speed = measure(subject)
        yield from told(report.speed)

    for last in (places, speed):
        report.findings += _findings(last, subject)
    return report


def _findings(check: Check, subject: Subject) -> list[Finding]:
    found: list[Finding] = []
    try:
        for finding in check(subject):
            found.append(finding)
    except ConfigError as error:
        found.append(Finding(str(error), "wrong"))
    except Exception as error:  # the user's code may fail in any way
        name = check.__name__.removeprefix("check_")
        found.append(
            Finding(f"{name}: the model fails ({reason(error)})", "wrong", "correct its code")
        )
    return found
