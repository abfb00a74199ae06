"""Offers gradient aggregators: ``Name(num_tasks, **hyperparameters)(gradients, losses) -> Direction``."""

from mtrl.aggregators.aligned_mtl import AlignedMTL, aligned_mtl_weights
from mtrl.aggregators.base import Aggregator, GramAggregator, NormAggregator
from mtrl.aggregators.cagrad import CAGrad, cagrad_weights
from mtrl.aggregators.config import ConFIG, config_weights
from mtrl.aggregators.correlation_reduced import CorrelationReduced
from mtrl.aggregators.db_mtl import DBMTL
from mtrl.aggregators.dualproj import DualProj, dualproj_weights
from mtrl.aggregators.dwa import DWA
from mtrl.aggregators.dynamic_weighting import DynamicWeighting
from mtrl.aggregators.excess_mtl import ExcessMTL
from mtrl.aggregators.fairgrad import FairGrad
from mtrl.aggregators.famo import FAMO
from mtrl.aggregators.gls import GLS
from mtrl.aggregators.graddrop import GradDrop
from mtrl.aggregators.gradnorm import GradNorm
from mtrl.aggregators.gradops import GradOPS
from mtrl.aggregators.gradvac import GradVac
from mtrl.aggregators.imtl_g import IMTLG
from mtrl.aggregators.imtl_l import IMTLL
from mtrl.aggregators.m_config import MConFIG
from mtrl.aggregators.matrix import gram_matrix
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
from mtrl.aggregators.upgrad import UPGrad, upgrad_weights

__all__ = [
    "DBMTL",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLG",
    "IMTLL",
    "MGDA",
    "RLW",
    "STCH",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "CorrelationReduced",
    "DualProj",
    "DynamicWeighting",
    "ExcessMTL",
    "FairGrad",
    "GradDrop",
    "GradNorm",
    "GradOPS",
    "GradVac",
    "GradientTracking",
    "GramAggregator",
    "MConFIG",
    "Mean",
    "MoCo",
    "NashMTL",
    "NormAggregator",
    "PCGrad",
    "SDMGrad",
    "TaskSubset",
    "TorchJD",
    "UPGrad",
    "UncertaintyWeighting",
    "aligned_mtl_weights",
    "cagrad_weights",
    "config_weights",
    "dualproj_weights",
    "gram_matrix",
    "mgda_weights",
    "upgrad_weights",
]
