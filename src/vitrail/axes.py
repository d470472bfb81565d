"""The legend of axis names: every shape in a comment, a docstring or an annotation uses these letters.

====  ==========================================================================
name  what it counts
====  ==========================================================================
b     examples in a batch
c     channels of an image
H W   height and width of an image, in pixels
n     positions of a sequence (tokens; for images the patches, plus CLS if there is one)
N     patches of an image, row by row from the top left
p q   height and width of one patch, in pixels
h     heads
hkv   heads of keys and values, which several heads of queries may share
dv    width of a value, where it isn't that of queries and keys
q k   query and key positions of an attention matrix; rows are queries
d     width of the residual stream, or of one head where ``h`` stands beside it
m     width of the hidden layer of a feed-forward block
s     key/value (memory) positions in cross attention
t     steps of training, counted from 0
v     classes or words that logits range over
====  ==========================================================================

Where no letter is meant, a plain word says what is counted: ``faces``, ``people``, ``pairs``, ``anchors``.

An attention matrix is always ``[b h q k]`` and its rows sum to 1.
"""
