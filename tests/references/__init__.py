"""Slow, plain references of forwards, a file a topic; tests/cases.py gathers them into its table."""

from . import conv, norm, embedding, recurrent

TOPICS = (norm, conv, embedding, recurrent)
