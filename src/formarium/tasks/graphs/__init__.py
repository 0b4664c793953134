"""Work on graphs: answers about whole graphs, nodes and edges, and how much of their shape a model can see."""
