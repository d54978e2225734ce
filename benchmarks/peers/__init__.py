"""The same activity stretches by other means; each module is one process of its own and needs only its own engine."""
