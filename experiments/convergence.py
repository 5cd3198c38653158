"""In how many seeds do a GAN's losses reach their optimum, and in how many of those did it learn the distribution?

    python experiments/convergence.py                                        # the table of the docs
    python experiments/convergence.py --targets=bimodal --preset=textbook --learning_rate_d=1e-4,1e-3 --r1=none,0.1
    python experiments/convergence.py --data=PATH --column=NAME              # a column of numbers of your own

Trains method × targets × presets × config axes × seeds side by side and prints one row per (target, config): the share
of seeds whose losses are at their optimum and the share of each verdict, with Wilson 95 % intervals, and W1/σ,
W1/floor, TV, the samples to tell and the modes covered as median [5 %, 95 %]. Then it prints one sentence per target.
The workdir receives `config.json`, `runs.csv`, `curves.npz`, `summary.json`, plots and `report.html`.

Progress is kept in the workdir until the run is done: after Ctrl-C, SIGTERM or a crash the same command continues.
Other processes can compute the runs, on one machine or many (--executor, see BUILD.md).

Expect, with the defaults (9 minutes on 2 cores): textbook is at its optimum in 98 %
of seeds or more on every target and converges in at most 6 %, with W1/σ from 0.11 (exponential) to 0.71 (normal);
robust at least converges in all seeds and is indistinguishable in 91 to 100 %, with W1/σ 0.011 to 0.015, like a
perfect sampler's.
"""

from jgen1d.cli import convergence

if __name__ == "__main__":
    convergence.start(__doc__)
