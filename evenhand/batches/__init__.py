"""Review batches: what can be drawn, what a draw will bring, the draw itself, and who reviews it."""
