"""One module a page; each holds `page`. A view asks, shows, and stops."""
