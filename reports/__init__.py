"""The report builder: reads saved runs, draws figures, writes the report as Markdown, HTML and PDF.

It measures nothing and imports nothing of the scheduler, the model or the experiments: files are the interface.
"""
