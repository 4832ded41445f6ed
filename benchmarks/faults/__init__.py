"""`din bench faults`: what kills, full disks and other faults leave behind."""
