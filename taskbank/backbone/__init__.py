"""The frozen encoder: its loading, its identity, and its computation with tasks' changes.

All imports of the models of torch and transformers go through this package.
"""

from taskbank.runtime.startup import import_libraries

import_libraries()
