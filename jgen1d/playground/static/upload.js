// The user's own numbers: a small text file, sent again when another column is asked for.

const byId = (id) => document.getElementById(id);

export class Upload {
  constructor(mostBytes, send, onError) {
    this.mostBytes = mostBytes;
    this.send = send;
    this.onError = onError;
    byId("data").addEventListener("change", () => this.read());
    byId("data-column").addEventListener("change", () => this.read());
  }

  async read() {
    const file = byId("data").files[0];
    if (!file) return;
    if (file.size > this.mostBytes) {
      this.onError(`The file is too large: at most ${Math.round(this.mostBytes / 1000)} kB.`);
      return;
    }
    byId("data-note").textContent = "Reading the file…";
    const text = await file.text();
    this.send({ type: "upload", name: file.name, column: byId("data-column").value.trim() || null, text });
  }

  /** The server took the file (or, without a message, refused it). */
  done(message) {
    byId("data-note").textContent = message ? `${message.count} values of “${message.name}”.` : "";
  }
}
