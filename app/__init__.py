"""The Streamlit app: review desk, flags, error rates, models."""
