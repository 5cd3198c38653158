"""Which family of generative models learns which distribution, how exactly, how reliably, and in what time?

    python experiments/compare.py                                       # all families × five targets × 32 seeds
    python experiments/compare.py --methods=flow_matching,gmm --targets=mixture --budget=30s
    python experiments/compare.py --targets=ring,grid,disk --num_seeds=8 # in 2-D

Every family has its default hyper-parameters, the GAN those of its preset `robust`, in 2-D of `planar`. The budget is
the same for all:

- `5000steps`: training steps, each on one minibatch of --batch_size rows per network update;
- `1.3e6evaluations`: rows that each run's networks evaluate in training (a GAN's step evaluates each row four times, a
  flow's once);
- `60s`: seconds of training for all runs of a (family, target) together, estimated with a short run.

For each (target, family) the table gives the seconds of training for all seeds (with compilation), the milliseconds for
10,000 samples of one model, the share of seeds that converged with its Wilson 95 % interval, and as median [5 %, 95 %]
over seeds the modes covered, W1/σ, W1/floor (about 1 for a perfect sampler), KS, and, if the model has a likelihood,
KL(target ‖ model) in nats: NLL minus entropy over the target's quantiles (a random sample in 2-D). Then it prints one
sentence per target.

The workdir receives `config.json`, `summary.json`, `densities.png` (of the seed whose W1 is the median), and a folder
of results (`runs.csv`, ...) for each (family, target).

Expect, with the defaults (39 minutes on 2 cores): but for the normal, the box and the autoencoder all seeds converge;
the median W1/floor is at most 1.4, and the median KL at most 0.008 nats (0.07 for the kernels on the exponential
distribution). With `--targets=ring,grid --methods=vae,diffusion,flow_matching,energy` (57 minutes of one core) all
seeds converge, too; W1/floor is at most 1.3, for the energy 3.1 and 1.5, and KL is at most 0.05 nats. With
`--methods=gan` there (9 minutes of one core) all but one of the 32 GANs on the ring converge, at 2.0 and 2.1.
"""

from jgen1d.cli import compare

if __name__ == "__main__":
    compare.start(__doc__)
