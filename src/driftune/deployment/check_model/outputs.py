"""Whether the logits have the form that the loop needs, and say something of clicks."""

from collections.abc import Iterator

import torch

from driftune.deployment.check_model.subject import Finding, Subject, forward, logits
from driftune.evaluation.metrics import auc
from driftune.models.forms import form_problem
from driftune.training.scoring import score

# Clicks predicted for each one, beyond which a warning is given.
SOUND = (0.5, 2.0)
_SAME = 1e-5


def check_outputs(subject: Subject) -> Iterator[Finding]:
    """Form and values of the logits of the first rows."""
    model, inputs = subject.model, subject.inputs()
    output = forward(model, inputs)
    if problem := form_problem(model, output, len(inputs[0])):
        yield Finding(f"outputs: {problem[0]}", "wrong", problem[1])
        return
    found = logits(output)
    wrong = sum(int((~each.isfinite()).sum()) for each in found)
    if wrong:
        what = f"outputs: {wrong} of {len(inputs[0]) * len(found)} logits are NaN or infinite"
        yield Finding(what, "wrong", "each row must get a number")
        return
    with torch.no_grad():
        alone = model.click_logit(*(each.clone() for each in inputs))
    if alone.shape != found[0].shape or not torch.allclose(alone, found[0], _SAME, _SAME):
        yield Finding(
            "outputs: click_logit gives another logit than forward",
            "wrong",
            "let both compute the same, or leave click_logit out",
        )
    kinds = "pCTR and pCVR" if model.conversions else "pCTR"
    dtype = str(found[0].dtype).removeprefix("torch.")
    yield Finding(f"outputs: logits of {kinds}, a {dtype} for each row, all finite")
    yield from _fits_config(subject)


def _fits_config(subject: Subject) -> Iterator[Finding]:
    """Whether the settings ask for what the model predicts."""
    config, conversions = subject.config, subject.model.conversions
    if config.gate.metric == "ctcvr_auc" and not conversions:
        yield Finding(
            "outputs: gate.metric = 'ctcvr_auc', but the model predicts no conversions",
            "wrong",
            "set gate.metric: ctr_auc",
        )
    if conversions and config.columns.convert is None:
        yield Finding(
            "outputs: the model predicts conversions, and the log has none (columns.convert): its "
            "adapters learn clicks alone",
            "ok",
        )


def check_predictions(subject: Subject) -> Iterator[Finding]:
    """Whether pCTR tells rows apart, and how far it is from the clicks."""
    rows = subject.rows.as_shown()
    p_click, click = score(subject.model, rows)[0], rows.click.numpy()
    mean, rate, area = float(p_click.mean()), float(click.mean()), float(auc(click, p_click))
    of = "held-out rows" if subject.held_out else "rows, which may have trained it"
    said = f"predictions: mean pCTR {mean:.4f}, click rate {rate:.4f}, AUC {area:.3f} on "
    said += f"{len(rows):,} {of}"
    if float(p_click.max() - p_click.min()) <= _SAME * mean:
        remedy = "see that inputs reads what the model was trained on, in the same units"
        yield Finding(f"{said}: every row gets the same pCTR", "warn", remedy)
    elif not SOUND[0] * rate <= mean <= SOUND[1] * rate:
        remedy = (
            "see that forward gives logits, no probabilities, and inputs what it was trained on"
        )
        yield Finding(f"{said}: far from the click rate", "warn", remedy)
    elif area < 0.5:
        remedy = "see that inputs reads what it was trained on, its vocabulary above all"
        yield Finding(f"{said}: it orders rows worse than chance", "warn", remedy)
    else:
        yield Finding(said)
