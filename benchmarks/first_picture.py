"""What does the playground show before it has compiled anything? Makes the kept picture of the first settings anew.

    python benchmarks/first_picture.py            # 15 seconds; whenever the first settings or their methods change

Writes two files to jgen1d/playground: first.json, the data, the untrained model's samples, D and G before the first
step; and first.npz, what a run begins with, so that the programs that make it need not be compiled before it moves.
"""

import json
import threading
from typing import Any

from jgen1d import cli
from jgen1d.playground import first, frames, look, settings
from jgen1d.playground.trainer import Trainer


def main() -> None:
    """Writes the files."""
    asked = settings.resolve(settings.first(), {})
    first.keep(asked, look.num_samples(asked.method, asked.truth))
    text = json.dumps(made(), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    first.PICTURE.write_text(text.replace('},{"type"', '},\n{"type"') + "\n")
    for path in (first.PICTURE, first.ARRAYS):
        print(f"{path.stat().st_size / 1000:.0f} kB: {path.name}")


def made() -> list[dict[str, Any]]:
    """The messages that a page with the first settings gets, as JSON has them."""
    said: list[dict[str, Any]] = []
    looked = threading.Event()
    trainer = Trainer(said.append, looked.set)
    try:
        trainer.ask({"type": "configure", "settings": settings.first()})
        if not looked.wait(120) or trainer.frame is None:
            raise ValueError("there is no picture after 120 s")
        configured = next(message for message in said if message["type"] == "configured")
        found = frames.plain([configured, frames.Sender().message(trainer.frame)])
        return json.loads(json.dumps(found, allow_nan=False))
    finally:
        trainer.close()


if __name__ == "__main__":
    cli.run(main)
