"""The exhibits of the gallery: a small engine, wrong ways to use it, and how they are shown."""

__all__: list[str] = []
