"""Looking at traces: the browser app, one page, a notebook, and figures; numpy and matplotlib, never torch."""
