"""From run directories to tables, figures and pages: what evaluate, plot, report and compare share."""
