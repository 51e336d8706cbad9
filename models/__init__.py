"""Trained model bundles, one folder each."""
