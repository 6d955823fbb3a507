"""The Streamlit app: `evenhand app`."""
