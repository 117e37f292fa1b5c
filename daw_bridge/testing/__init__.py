"""What third parties test their own parts with: checks of an adapter and of a model family, and what they need.

Each check raises AssertionError with the promise that is not kept.
"""

from daw_bridge.testing.adapters import check_adapter
from daw_bridge.testing.families import check_family
from daw_bridge.testing.plans import example_plan

__all__ = ["check_adapter", "check_family", "example_plan"]
