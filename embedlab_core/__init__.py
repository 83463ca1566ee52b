"""embedlab: a folder of images -> a searchable, checkable index."""

__version__ = "0.1.0"
