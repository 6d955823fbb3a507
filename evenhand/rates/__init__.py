"""Error rates: from the rulings on drawn cases to estimates for any question."""
