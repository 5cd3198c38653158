// The user's own numbers: a small text file, sent again when another column is asked for, or to a new connection.

const byId = (id) => document.getElementById(id);

export class Upload {
  constructor(mostBytes, send, onError) {
    this.mostBytes = mostBytes;
    this.send = send;
    this.onError = onError;
    this.message = null; // The last one that was not refused: the server forgets files with their connection.
    this.accepted = null;
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
    this.take(file.name, byId("data-column").value.trim() || null, await file.text());
    this.sendAgain();
  }

  /** Remembers a file without sending it. */
  take(name, column, text) {
    this.message = { type: "upload", name, column, text };
  }

  sendAgain() {
    byId("data-note").textContent = "Reading the file…";
    this.send(this.message);
  }

  /** The server took the file (or, without a message, refused it). */
  done(message) {
    if (message) this.accepted = this.message;
    else this.message = this.accepted;
    const rest = message?.values ? "" : " They are too many for this page's address: a link will not hold them.";
    byId("data-note").textContent = message ? `${message.count} values of “${message.name}”.${rest}` : "";
  }
}
