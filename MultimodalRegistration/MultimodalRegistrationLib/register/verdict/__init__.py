"""Whether a result can be trusted: the evidence, and the rule that weighs it."""
