"""Engines: the evaluator on Ignite, and the handlers that calibrate, measure and write."""

from anomaly.engines.calibration import CalibrationHandler
from anomaly.engines.distributed import Together, average_gradients, process_device, process_rank
from anomaly.engines.evaluator import AnomalyEvaluator
from anomaly.engines.inferer import SlabInferer
from anomaly.engines.method_trainer import MethodTrainer
from anomaly.engines.metrics import CohortMetrics
from anomaly.engines.regrid import ToSourced
from anomaly.engines.training import CollapseWatcher, EpochSeed, Resumption, TrainingPictures
from anomaly.engines.writer import FindingWriter, write_examination

__all__ = [
    "AnomalyEvaluator",
    "CalibrationHandler",
    "CohortMetrics",
    "CollapseWatcher",
    "EpochSeed",
    "FindingWriter",
    "MethodTrainer",
    "Resumption",
    "SlabInferer",
    "ToSourced",
    "Together",
    "TrainingPictures",
    "average_gradients",
    "process_device",
    "process_rank",
    "write_examination",
]
