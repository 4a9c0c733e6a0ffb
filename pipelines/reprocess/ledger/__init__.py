"""Who holds what: jobs, leases, reasons."""
