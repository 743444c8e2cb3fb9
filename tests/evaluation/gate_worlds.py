"""Worlds with known odds, for tests of the gate."""

import numpy as np

from driftune.config.gate import Gate
from driftune.evaluation.gate import GateReport, GateRows, Scores, judge
from driftune.evaluation.verdicts import Rule

POLICY = Gate(resamples=200)
ROWS, USERS = 4000, 400


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


class World:
    """Impressions whose click and conversion odds are known, and models that see them blurred."""

    def __init__(self, seed: int = 0, rows: int = ROWS, users: int = USERS, buy: float = 0.0):
        self.rng = np.random.default_rng(seed)
        self.click_logit = self.rng.normal(-1, 1, rows)
        self.buy_logit = self.rng.normal(buy, 1, rows)
        click = self.rng.random(rows) < sigmoid(self.click_logit)
        convert = click & (self.rng.random(rows) < sigmoid(self.buy_logit))
        user = np.arange(rows) % users
        self.rows = GateRows(
            user,
            click.astype(np.int8),
            convert.astype(np.int8),
            {"known users": user % 3 > 0, "new users": user % 3 == 0},
        )

    def model(self, blur: float, buy_blur: float = 0.3, shift: float = 0.0) -> Scores:
        p_click = sigmoid(self.click_logit + self._noise(blur) + shift)
        return Scores(p_click, p_click * sigmoid(self.buy_logit + self._noise(buy_blur)))

    def _noise(self, scale: float) -> np.ndarray:
        return self.rng.normal(0, scale, len(self.click_logit))


def decide(
    world: World, champion: Scores, challenger: Scores, policy: Gate = POLICY, seed: int = 7
) -> GateReport:
    return judge(world.rows, champion, challenger, policy, seed=seed)


def rule(report: GateReport, name: str) -> Rule:
    return {rule.name: rule for rule in report.rules}[name]


def failed(report: GateReport) -> list[str]:
    return [rule.name for rule in report.rules if rule.verdict != "pass"]
