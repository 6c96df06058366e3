from taskbank.bank.bank import Bank as Bank
from taskbank.bank.open import create_bank, open_bank, upgrade_bank
from taskbank.bank.open import schema_of as schema_of
from taskbank.bank.record_list import Records as Records
from taskbank.bank.records import AdapterRecord as AdapterRecord
from taskbank.bank.records import AliasRecord as AliasRecord
from taskbank.bank.records import BackboneRecord as BackboneRecord
from taskbank.bank.records import Garbage as Garbage
from taskbank.bank.records import MetricRecord as MetricRecord
from taskbank.bank.records import SplitRecord as SplitRecord
from taskbank.bank.records import TrialRecord as TrialRecord
from taskbank.errors import BackboneMismatchError as BackboneMismatchError
from taskbank.errors import BankError as BankError
from taskbank.errors import ConflictError as ConflictError
from taskbank.errors import DamagedError as DamagedError
from taskbank.errors import DataError as DataError
from taskbank.errors import GoneError as GoneError
from taskbank.errors import InputError as InputError
from taskbank.errors import MissingExtraError as MissingExtraError
from taskbank.errors import NotFoundError as NotFoundError
from taskbank.errors import ResourceError as ResourceError
from taskbank.errors import SchemaError as SchemaError
from taskbank.errors import TaskbankError as TaskbankError
from taskbank.errors import TrainingError as TrainingError
from taskbank.errors import UnreachableError as UnreachableError
from taskbank.history.matrix import Matrix as Matrix
from taskbank.history.matrix import score_matrix as score_matrix
from taskbank.interchange.export_folder import export_adapter as export_adapter
from taskbank.interchange.export_folder import import_adapter as import_adapter
from taskbank.pipeline.add_task import Added as Added
from taskbank.pipeline.add_task import add_task as add_task
from taskbank.pipeline.init import init as init
from taskbank.pipeline.score import Scored as Scored
from taskbank.pipeline.score import score as score
from taskbank.pipeline.suite import SuiteReport as SuiteReport
from taskbank.pipeline.suite import add_tasks as add_tasks
from taskbank.promotion.diff import Diff as Diff
from taskbank.promotion.diff import diff as diff
from taskbank.serve.attach import attach as attach
from taskbank.serve.prediction import Prediction as Prediction
from taskbank.serve.predictor import Predictor as Predictor
from taskbank.serve.predictor import predict as predict
from taskbank.specs import BackboneIdentity as BackboneIdentity
from taskbank.specs import MethodSpec as MethodSpec
from taskbank.specs import TaskSpec as TaskSpec
from taskbank.specs import TrainingSpec as TrainingSpec
from taskbank.verify.report import Finding as Finding
from taskbank.verify.report import Flip as Flip
from taskbank.verify.report import Report as Report
from taskbank.verify.report import TaskResult as TaskResult
from taskbank.verify.verify import verify_all as verify_all

__version__: str
create = create_bank
open = open_bank
upgrade = upgrade_bank
