"""What an admin does with targets: set one, take one away. Each act leaves an audit row.

A target is what everybody is measured by, on every screen: it is for admins who see every country, as rules on figures are.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pipeline.errors import ConfigurationError
from pipeline.marts.question import CUSTOMER_DIMENSIONS, one_of
from pipeline.runs.schema_kept import LONGEST_SEGMENT
from pipeline.runs.targets import Target, segment
from streamlit_app import auth, data, data_kept
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role
from streamlit_app.targets import METRICS


def set_target(target: Target) -> Outcome:
    """Set a target in the place of the one before; raises ConfigurationError where there can be no such target."""
    user = auth.require_everywhere(Role.ADMIN)
    _refuse_what_cannot_be(target)
    before = data.run_store().set_target(replace(target, set_by=user.name))
    data_kept.forget()
    old = None if before is None else before.content
    data.run_store().audit(user.name, "set_target", f"target of {target.metric}", before=old, after=target.content)
    return Outcome(True, "target_set")


def remove_target(target: Target) -> Outcome:
    """Take a target away."""
    user = auth.require_everywhere(Role.ADMIN)
    before = data.run_store().remove_target(target)
    data_kept.forget()
    if before is None:
        return Outcome(False, "target_gone")
    data.run_store().audit(user.name, "remove_target", f"target of {target.metric}", before=before.content)
    return Outcome(True, "target_removed")


def _refuse_what_cannot_be(target: Target) -> None:
    one_of("metric", target.metric, METRICS, metric="the targets")
    for dimension, _ in target.where:
        one_of("dimension", dimension, CUSTOMER_DIMENSIONS, metric="the targets")
    if len(segment(target.where)) > LONGEST_SEGMENT:
        raise ConfigurationError("This cannot be a target", safe="Nothing was changed", next="choose fewer values in its segment")
    if not math.isfinite(target.value) or target.value < 0:
        raise ConfigurationError("This cannot be a target", safe="Nothing was changed", next="give a number of 0 or more")
