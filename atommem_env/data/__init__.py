"""Data: questions and documents, where they come from, and random access to them."""

from atommem_env.data.benchmark import SPLITS, Benchmark
from atommem_env.data.custom import CUSTOM
from atommem_env.data.dataset import QADataset
from atommem_env.data.records import Document, Evidence, Question, Record
from atommem_env.data.sources import GeneratedDataWarning, open_dataset

__all__ = [
    "CUSTOM",
    "SPLITS",
    "Benchmark",
    "Document",
    "Evidence",
    "GeneratedDataWarning",
    "QADataset",
    "Question",
    "Record",
    "open_dataset",
]
