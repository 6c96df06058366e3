"""The frozen encoder: loads it, identifies it, and computes with it.

Whatever imports torch's and transformers' models does so through this package.
"""

from taskbank.runtime.startup import import_libraries

import_libraries()
