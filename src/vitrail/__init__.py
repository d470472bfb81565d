"""Vitrail: train, look inside and measure the models of four landmark deep-learning papers.

Nothing heavy is imported here: a public name is fetched when it is first used.
"""
