"""Slow references of embedding ops."""

REFERENCES = {"weigh_gradient": lambda x, *, factor: x}
