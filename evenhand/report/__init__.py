"""Reports for management and transparency: one model collected once, written as spreadsheet, deck, page or table."""
