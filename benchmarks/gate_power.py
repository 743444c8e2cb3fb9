"""Error rates, coverage and power of the gate, on a simulated world whose truth is known."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from benchmarks.common import finish, options, say, table
from benchmarks.gate_world import Noise, crowds, gate_cases, solve, solve_slice
from driftune.config.gate import Gate
from driftune.evaluation.expected import GainRules, fit_prior
from driftune.evaluation.gate import GateReport, judge
from driftune.evaluation.verdicts import GAINS, decide

ROWS, CORRELATION, GAIN, HARM, SLICE_HARM = 20_000, 0.94, 0.005, -0.003, 0.02
MANY_USERS = 1000
# Of each of the four cases.
DECISIONS = 400
SIZES = (2_000, 5_000, 10_000, 50_000)
CORRELATIONS = (0.86, 0.90, 0.97)
SIZES_OF_GAIN = (0.002, 0.003, 0.008)
# Domains whose decisions of a day share the error.
AMONG = 8
# What is deployed, by ``gate.rule``; no challenger was judged before.
DEPLOYED = {
    "interval alone": (Gate(), 1),
    f"interval among {AMONG}": (Gate(), AMONG),
    "expected gain": (Gate(rule="expected_gain"), 1),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one case's decisions, (decisions,) each, and what is true of it."""

    name: str
    truth: float
    slice_truth: float
    correlation: float
    rows: int
    promoted: np.ndarray
    sliced: np.ndarray
    estimate: np.ndarray
    error: np.ndarray
    covered: np.ndarray
    users: np.ndarray
    deployed: Mapping[str, float]

    @property
    def power(self) -> float:
        """Share promoted."""
        return float(self.promoted.mean())

    @property
    def oracle(self) -> float:
        """Share that a z-test promotes that knows the standard error."""
        return float((self.estimate > ndtri(0.975) * self.estimate.std(ddof=1)).mean())

    @property
    def naive(self) -> float:
        """Share that "the challenger's AUC is higher" promotes."""
        return float((self.estimate > 0).mean())

    def line(self) -> list[str]:
        """The row of a table."""
        ratio = self.power / self.oracle if self.oracle else float("nan")
        return [
            self.name, f"{len(self.promoted)}", f"{self.truth:+.4f}", f"{self.correlation:.2f}",
            f"{self.rows:,}", f"{self.users.mean():,.0f}", f"{self.estimate.std(ddof=1):.4f}",
            f"{self.power:.1%}", f"{self.oracle:.1%}", f"{ratio:.2f}", f"{self.naive:.1%}",
            f"{self.covered.mean():.1%}",
        ]  # fmt: skip


HEAD = ("case", "decisions", "true gain", "correlation", "rows", "effective users",
        "standard error", "promoted", "z-test", "ratio", "naive rule", "covered")  # fmt: skip


class Trial:
    """Cases decided one after another on the same world."""

    def __init__(self, quick: bool) -> None:
        rows, users = (400_000, 90_000) if quick else (2_200_000, 500_000)
        self.drawn_from, self.fresh = crowds(rows, users)
        say(f"{len(self.fresh.user):,} fresh rows; the correlation is set on part of them")
        self.policy = Gate(min_effect=0.0)
        self.decided = 0

    def run(
        self, name: str, decisions: int, gain: float = GAIN, correlation: float = CORRELATION,
        rows: int = ROWS, noise: Noise | None = None,
    ) -> Outcome:  # fmt: skip
        """Decide one case."""
        started = time.perf_counter()
        noise = noise or solve(self.fresh, gain, correlation)
        truth = self.fresh.gain(noise)
        found = []
        deployed: dict[str, list[bool]] = {rule: [] for rule in DEPLOYED}
        cases = gate_cases(self.drawn_from, noise, rows, decisions, self.decided)
        for case in cases:
            self.decided += 1
            report = judge(*case, self.policy, seed=self.decided)
            one = report.difference
            if one is None:
                raise ValueError(f"{name}: {report.rules}")
            worse = any(each.verdict == "fail" for each in report.slices)
            inside = one.low <= truth <= one.high
            for rule, passed in by_deployed(report).items():
                deployed[rule].append(passed)
            found.append(
                (report.decision == "promote", worse, one.estimate, one.error, inside,
                 one.effective_users)
            )  # fmt: skip
        say(f"{name}: {time.perf_counter() - started:.0f} s")
        promoted, sliced, estimate, error, covered, users = (
            np.array(column) for column in zip(*found, strict=True)
        )
        return Outcome(
            name, truth, self.fresh.gain(noise, self.fresh.new_user),
            self.fresh.correlation(noise), rows, promoted, sliced, estimate, error, covered, users,
            {rule: float(np.mean(passed)) for rule, passed in deployed.items()},
        )  # fmt: skip


def by_deployed(report: GateReport) -> dict[str, bool]:
    """Whether what is deployed promotes at a look that may spend all of the error.

    A stricter confidence widens the interval; the rules beside those of the gain stay.
    """
    one = report.difference
    assert one is not None
    named = {name for names in GAINS.values() for name in names}
    beside = [rule for rule in report.rules if rule.name not in named]
    found = {}
    for name, (policy, decisions) in DEPLOYED.items():
        confidence = 1 - (1 - policy.confidence) / decisions
        reach = float(stdtrit(one.freedom, (1 + confidence) / 2)) * one.error
        wide = replace(one, low=one.estimate - reach, high=one.estimate + reach)
        rules = GainRules(policy, confidence, fit_prior([], [])).rules(wide)
        converts = report.guardrail_metric is not None
        found[name] = decide([*beside, *rules], conversions=converts, rule=policy.rule) == "promote"
    return found


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--curves", type=int, default=200, help="decisions per point; 0: no curves")
    given = parser.parse_args()
    decisions, some = (40, 0) if given.quick else (DECISIONS, given.curves)
    trial = Trial(given.quick)
    equal = trial.run("equal", decisions, 0.0)
    harmful = trial.run("harmful", decisions, HARM - 0.0001)
    gain = trial.run("gain", decisions)
    harm = solve_slice(trial.fresh, SLICE_HARM, 0.90)
    sliced = trial.run("worse for new users", decisions, noise=harm)
    curves: list[Outcome] = []
    if some:
        curves += [trial.run("by rows", some, rows=rows) for rows in SIZES]
        curves += [trial.run("by correlation", some, correlation=each) for each in CORRELATIONS]
        curves += [trial.run("by gain", some, each) for each in SIZES_OF_GAIN]
    say("")
    table(HEAD, [each.line() for each in (equal, harmful, gain, sliced, *curves)])
    table(
        ("case", "true gain", "rows", *DEPLOYED),
        [
            [each.name, f"{each.truth:+.4f}", f"{each.rows:,}",
             *(f"{share:.1%}" for share in each.deployed.values())]
            for each in (equal, harmful, gain, sliced, *curves)
        ],
    )  # fmt: skip
    print_figures([equal, harmful, gain, sliced], curves)


def print_figures(main_cases: Sequence[Outcome], curves: Sequence[Outcome]) -> None:
    """The JSON line."""
    equal, harmful, gain, sliced = main_cases
    every = [*main_cases, *curves]
    covered = np.concatenate([each.covered[each.users >= MANY_USERS] for each in every])
    gains = [each for each in (gain, *curves) if each.oracle > 0]
    finish(
        {
            "benchmark": "gate_power",
            "decisions": sum(len(each.promoted) for each in every),
            "harmful_promoted": harmful.power,
            "null_promoted": equal.power,
            "gain_promoted": gain.power,
            "coverage": covered.mean() if len(covered) else float("nan"),
            "coverage_decisions": len(covered),
            "slice_harm_stopped": float(sliced.sliced.mean()),
            "slice_harm_not_promoted": 1 - sliced.power,
            "naive_null_promoted": equal.naive,
            "naive_harmful_promoted": harmful.naive,
            "naive_gain_promoted": gain.naive,
            "naive_slice_harm_promoted": sliced.naive,
            "least_power_of_z_test": min(each.power / each.oracle for each in gains),
            "true_gain": {each.name: each.truth for each in main_cases},
            "slice_truth": sliced.slice_truth,
            "deployed": {each.name: dict(each.deployed) for each in main_cases},
            "cases": [dict(zip(HEAD, each.line(), strict=True)) for each in every],
        }
    )


if __name__ == "__main__":
    main()
