from taskbank.bank.bank import Bank as Bank
from taskbank.bank.open import create_bank, open_bank, upgrade_bank
from taskbank.bank.open import schema_of as schema_of
from taskbank.errors import TaskbankError as TaskbankError
from taskbank.history.matrix import score_matrix as score_matrix
from taskbank.interchange.export_folder import export_adapter as export_adapter
from taskbank.interchange.export_folder import import_adapter as import_adapter
from taskbank.pipeline.add_task import add_task as add_task
from taskbank.pipeline.init import init as init
from taskbank.pipeline.suite import add_tasks as add_tasks
from taskbank.promotion.diff import diff as diff
from taskbank.serve.attach import attach as attach
from taskbank.serve.predictor import Predictor as Predictor
from taskbank.serve.predictor import predict as predict
from taskbank.verify.verify import verify_all as verify_all

__version__: str
create = create_bank
open = open_bank
upgrade = upgrade_bank
