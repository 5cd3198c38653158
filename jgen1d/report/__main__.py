"""The report of a workdir, made anew; or how the results of two workdirs differ.

    python -m jgen1d.report WORKDIR         # writes WORKDIR/report.html
    python -m jgen1d.report A B             # prints the differences of B from A
"""
