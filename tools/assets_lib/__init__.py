"""Helpers of tools/make_assets.py: one module for each kind of test image."""
