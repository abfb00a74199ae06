"""Offers gradient aggregators: ``Name(num_tasks, **hyperparameters)(gradients, losses) -> Direction``."""

from mtrl.aggregators.base import Aggregator, GramAggregator, NormAggregator, gram_matrix
from mtrl.aggregators.cagrad import CAGrad, cagrad_weights
from mtrl.aggregators.correlation_reduced import CorrelationReduced
from mtrl.aggregators.dynamic_weighting import DynamicWeighting
from mtrl.aggregators.fairgrad import FairGrad
from mtrl.aggregators.famo import FAMO
from mtrl.aggregators.graddrop import GradDrop
from mtrl.aggregators.gradnorm import GradNorm
from mtrl.aggregators.gradops import GradOPS
from mtrl.aggregators.gradvac import GradVac
from mtrl.aggregators.imtl_g import IMTLG
from mtrl.aggregators.mean import Mean
from mtrl.aggregators.mgda import MGDA, mgda_weights
from mtrl.aggregators.moco import MoCo
from mtrl.aggregators.nash_mtl import NashMTL
from mtrl.aggregators.pcgrad import PCGrad
from mtrl.aggregators.rlw import RLW
from mtrl.aggregators.sdmgrad import SDMGrad
from mtrl.aggregators.stch import STCH
from mtrl.aggregators.task_subset import TaskSubset
from mtrl.aggregators.torchjd import TorchJD
from mtrl.aggregators.tracking import GradientTracking
from mtrl.aggregators.uncertainty import UncertaintyWeighting

__all__ = [
    "FAMO",
    "IMTLG",
    "MGDA",
    "RLW",
    "STCH",
    "Aggregator",
    "CAGrad",
    "CorrelationReduced",
    "DynamicWeighting",
    "FairGrad",
    "GradDrop",
    "GradNorm",
    "GradOPS",
    "GradVac",
    "GradientTracking",
    "GramAggregator",
    "Mean",
    "MoCo",
    "NashMTL",
    "NormAggregator",
    "PCGrad",
    "SDMGrad",
    "TaskSubset",
    "TorchJD",
    "UncertaintyWeighting",
    "cagrad_weights",
    "gram_matrix",
    "mgda_weights",
]
