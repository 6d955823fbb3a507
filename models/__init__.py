"""Everything that needs weights: encoder, classifier, flagger, explanation, scoring, registry."""
