"""What a stage's holder reports: the artifact, and the evaluation."""

from typing import Any

from sqlalchemy import select

from ratoon.identity import digest_json
from ratoon.instants import parse_instant
from ratoon.ledger.engine import Database
from ratoon.ledger.outbox import post
from ratoon.ledger.records import ArtifactRecord, EvaluationRecord
from ratoon.ledger.retrains import fenced, held_by
from ratoon.ledger.states import RetrainState
from ratoon.ledger.tables import ARTIFACT, EVALUATION, RETRAIN


class Outcomes(Database):
    """The artifacts and evaluations of the ledger."""

    def report_trained(self, retrain_id: str, fence: int, *, artifact: ArtifactRecord) -> None:
        """Record the artifact, whose bytes are already stored, and ask for its evaluation.

        The same holder may report the same artifact twice.

        Raises:
            FencedError: This holder no longer holds the retrain.
        """
        with self.writing() as tx:
            row = tx.change(
                RETRAIN,
                *held_by(retrain_id, fence),
                RETRAIN.c.state == RetrainState.RUNNING,
                state=RetrainState.TRAINED,
                trained_fence=fence,
                attempt=0,
                owner=None,
                lease_until=None,
                error=None,
                updated_at=tx.now,
            )
            if row is None:
                known = select(ARTIFACT).where(ARTIFACT.c.retrain_id == retrain_id, ARTIFACT.c.fence == fence)
                found = tx.first(known.where(ARTIFACT.c.digest == artifact.digest))
                if found is None:
                    raise fenced(tx, retrain_id, fence)
                return
            columns = artifact.model_dump(mode="json") | _lake_reads(artifact.data)
            tx.add(ARTIFACT, retrain_id=retrain_id, fence=fence, **columns, recorded_at=tx.now)
            post(tx, row, "evaluate")
            tx.audit("retrain.TRAINED", retrain_id, fence=fence, artifact=artifact.digest)

    def report_evaluated(self, retrain_id: str, fence: int, *, evaluation: EvaluationRecord) -> None:
        """Record the verdict; :meth:`conclude` acts on it. The same holder may report it twice.

        Raises:
            FencedError: This holder no longer holds the retrain.
        """
        with self.writing() as tx:
            row = tx.change(
                RETRAIN,
                *held_by(retrain_id, fence),
                RETRAIN.c.state == RetrainState.TRAINED,
                state=RetrainState.EVALUATED,
                verdict=evaluation.verdict,
                owner=None,
                lease_until=None,
                error=None,
                updated_at=tx.now,
            )
            if row is None:
                known = select(EVALUATION).where(EVALUATION.c.retrain_id == retrain_id, EVALUATION.c.fence == fence)
                if tx.first(known.where(EVALUATION.c.report_digest == evaluation.report_digest)) is None:
                    raise fenced(tx, retrain_id, fence)
                return
            columns = evaluation.model_dump(mode="json")
            tx.add(EVALUATION, retrain_id=retrain_id, fence=fence, **columns, recorded_at=tx.now)
            tx.audit(
                "retrain.EVALUATED", retrain_id, fence=fence, verdict=evaluation.verdict, report=digest_json(columns)
            )

    def artifact(self, retrain_id: str) -> ArtifactRecord | None:
        """Return the artifact of a retrain, or None."""
        with self.reading() as tx:
            row = tx.first(select(ARTIFACT).where(ARTIFACT.c.retrain_id == retrain_id))
        return None if row is None else ArtifactRecord.model_validate(_fields(ArtifactRecord, row))

    def evaluation(self, retrain_id: str) -> EvaluationRecord | None:
        """Return the evaluation of a retrain, or None."""
        with self.reading() as tx:
            row = tx.first(select(EVALUATION).where(EVALUATION.c.retrain_id == retrain_id))
        return None if row is None else EvaluationRecord.model_validate(_fields(EvaluationRecord, row))


def _lake_reads(data: dict[str, Any]) -> dict[str, Any]:
    until = data.get("data_until")
    return {
        "rows_version": data.get("rows_version"),
        "labels_version": data.get("labels_version"),
        "data_until": None if until is None else parse_instant(until),
    }


def _fields(record: type[ArtifactRecord] | type[EvaluationRecord], row: Any) -> dict[str, Any]:
    found = row._asdict()
    return {name: found[name] for name in record.model_fields}
