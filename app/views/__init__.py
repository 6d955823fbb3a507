"""The pages of the app: one module per page, each with a function `page`. A view asks, shows, and stops."""
