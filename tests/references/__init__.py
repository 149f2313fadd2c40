"""Slow, plain references of forwards, a file a topic; tests/cases.py gathers them into its table."""

from . import attention, conv, embedding, loss, norm, pool, recurrent, resample

TOPICS = (attention, norm, conv, embedding, recurrent, loss, pool, resample)
