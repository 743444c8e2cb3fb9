"""The code of a registered bundle, which MLflow runs from its text when it loads the model."""

import pandas as pd
import pyarrow as pa
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from driftune.serving import RowsError, Scorer


class BundleModel(PythonModel):
    """The scores of the bundle that lies in the model, as ``Scorer.score`` gives them."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle; every file is checked by its hash."""
        self.scorer = Scorer.open(context.artifacts["bundle"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, str] | None = None,
    ) -> pd.DataFrame:
        """Score rows, one row of the answer for each.

        Raises:
            RowsError: as ``Scorer.score``.
        """
        try:
            table = pa.Table.from_pandas(model_input, preserve_index=False)
        except (pa.ArrowException, UnicodeError, OverflowError) as error:
            reason = " ".join(str(error).split())[:200]
            raise RowsError(f"rows must have one type a column: {reason}") from None
        return self.scorer.score(_in_micros(table)).to_pandas(integer_object_nulls=True)


def _in_micros(table: pa.Table) -> pa.Table:
    """Times in microseconds, as lake and logs have them, where that loses nothing: MLflow makes
    nanoseconds of them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            try:
                micros = table.column(place).cast(pa.timestamp("us", field.type.tz))
            except pa.ArrowInvalid:
                continue
            table = table.set_column(place, field.name, micros)
    return table


set_model(BundleModel())
