"""Review batches: what can be drawn, what a draw would bring, the draw, and how its work is shared out."""
