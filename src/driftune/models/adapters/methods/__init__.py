"""Fine-tuning methods, one module or folder each. A new one needs its module and a line here.

Each module registers its method; ``registry`` finds them by their kind.
"""

from driftune.models.adapters.methods import copies as copies
from driftune.models.adapters.methods import houlsby as houlsby
from driftune.models.adapters.methods import iak as iak
from driftune.models.adapters.methods import lora as lora
