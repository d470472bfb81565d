"""Galleries of people: photographs in; who is it, are these two the same, which of these are one person out.

``Gallery(place, embed, fingerprint, calibration)`` is all that most need. Nothing here leaves the machine, or the
database that was named.
"""
