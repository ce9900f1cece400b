"""Boxes and arrows: a graph as a picture or as the text that other programs draw from.

This folder knows figures, how they are laid out and how they are written down.  It must never know
what a box stands for: pipelines, stages and reports are above it.  Start with `figure`.
"""
