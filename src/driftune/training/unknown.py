"""Unknown ids: a share of the training rows reads known ids as unknown, to train what stands for
them.

An id that the vocabulary has not is one of a field's buckets. Where nearly all ids of the training
rows have an embedding of their own (as with lists, where few are rare), no row would train the
buckets, and new users and items would be predicted by embeddings that nothing has taught.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from driftune.config import Config
from driftune.features.encoder import Encoder
from driftune.models.adapters.devices import moved
from driftune.models.esmm import ESMM
from driftune.training.rows import Rows

# Fields whose ids are a closed set: a new domain is no domain's, and there are 24 hours.
_CLOSED = ("domain", "hour")
# More than this trains the buckets no better, and the ids less.
MOST = 0.1
# Fewer unknown ids do not matter.
LEAST = 0.01


@dataclass(frozen=True)
class IdDropout:
    """By field, the share of rows whose id is replaced by one of the ``buckets`` (1 … buckets)."""

    fields: tuple[str, ...]
    shares: tuple[float, ...]
    buckets: int

    @property
    def told(self) -> dict[str, float]:
        """The shares above 0, by field."""
        return {name: share for name, share in zip(self.fields, self.shares, strict=True) if share}

    def __call__(self, ids: Tensor, draws: torch.Generator) -> Tensor:
        """A batch's ids (rows, fields), some of them replaced; a null stays one.

        Nothing is drawn where no field has a share.
        """
        if not self.told:
            return ids
        # Drawn on the CPU, whatever the device: all draw the same.
        dropped = torch.rand(ids.shape, generator=draws) < torch.tensor(self.shares)
        bucket = torch.randint(1, self.buckets + 1, ids.shape, generator=draws)
        dropped, bucket = moved(dropped, ids.device), moved(bucket, ids.device)
        return torch.where(dropped & (ids > 0), bucket, ids)

    @torch.no_grad()
    def fill(self, model: ESMM, trained: Tensor) -> None:
        """Give ids of the vocabulary that no training row (rows, fields) has a bucket's embedding.

        They are those of held-out rows alone: as unknown as ids that come later. In fields without
        a share they stay as they are.
        """
        for field, share in enumerate(self.shares):
            if not share:
                continue
            vectors = model.field_vectors(field)
            unseen = torch.ones(len(vectors), dtype=torch.bool)
            unseen[trained[:, field].unique()] = False
            unseen[: self.buckets + 1] = False
            places = torch.nonzero(unseen).squeeze(1)
            vectors[places] = vectors[1 + places % self.buckets]


def id_dropout(config: Config, encoder: Encoder, trained: Rows, held_out: Rows) -> IdDropout:
    """The shares that ``backbone.id_dropout`` asks for.

    ``auto``, by field: how many more of the held-out rows than of the training rows have an
    unknown id, at most ``MOST`` and nothing below ``LEAST``. A number: that share of each field of
    which a held-out row has an unknown id, as others (a weekday, a few categories) never have any;
    without held-out rows of every field. No label is looked at.
    """
    given = config.backbone.id_dropout
    shares = []
    for field, name in enumerate(encoder.fields):
        if name in _CLOSED:
            shares.append(0.0)
            continue
        asked, taught = _unknown(encoder, field, trained.ids[:, field], held_out.ids[:, field])
        if given == "auto":
            more = round(asked - taught, 4)
            shares.append(min(more, MOST) if more >= LEAST else 0.0)
        else:
            shares.append(float(given) if asked or not len(held_out) else 0.0)
    return IdDropout(encoder.fields, tuple(shares), encoder.buckets)


def _unknown(
    encoder: Encoder, field: int, trained: Tensor, held_out: Tensor
) -> tuple[float, float]:
    """The shares of held-out and of training rows whose id is unknown; 0 where either is empty."""
    if not len(held_out) or not len(trained):
        return 0.0, 0.0
    known = torch.zeros(encoder.sizes[field], dtype=torch.bool)
    known[trained.unique()] = True
    known[1 : encoder.buckets + 1] = False
    # Null is no id.
    known[0] = True
    asked, taught = (1 - int(known[rows].sum()) / len(rows) for rows in (held_out, trained))
    return asked, taught
