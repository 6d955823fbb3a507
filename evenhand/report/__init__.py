"""Reports for management and transparency: one model, written as spreadsheet, deck, page or table."""
