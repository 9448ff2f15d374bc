"""Pictures of a computation graph, as DOT, SVG or Mermaid text; nothing else needs to be installed.

print(graph.to_mermaid(loss, model))         # parameters by the module's names for them
with graph.record(model) as calls:           # modules as boxes
    loss = model(x).sum()
graph.save("loss.svg", loss, calls)          # .svg, .dot or .mmd
"""

from .collecting import Box, Vertex, picture
from .modules import Calls, record
from .svg import to_svg
from .text import save, to_dot, to_mermaid

__all__ = ["Box", "Calls", "Vertex", "picture", "record", "save", "to_dot", "to_mermaid", "to_svg"]
