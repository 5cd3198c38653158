// The connection to the server. A closed one is reported, and opened again only when the user asks.

export class Connection {
  /**
   * @param {(message: object) => void} onMessage every message of the server
   * @param {(open: boolean, reason?: string) => void} onChange when it opens or closes
   */
  constructor(onMessage, onChange) {
    this.onMessage = onMessage;
    this.onChange = onChange;
    this.socket = null;
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket = socket;
    socket.addEventListener("open", () => this.onChange(true));
    socket.addEventListener("close", (event) => {
      if (socket === this.socket) this.onChange(false, event.reason);
    });
    socket.addEventListener("message", (event) => this.onMessage(JSON.parse(event.data)));
  }

  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }
}

/** Calls `action` at once, then at most every `interval` ms; `flush` makes a call that waits happen now. */
export function throttled(action, interval) {
  let timer = null;
  let waiting = false;
  const run = () => {
    waiting = false;
    action();
    timer = setTimeout(() => {
      timer = null;
      if (waiting) run();
    }, interval);
  };
  const call = () => {
    if (timer === null) run();
    else waiting = true;
  };
  call.flush = () => {
    if (!waiting) return;
    clearTimeout(timer);
    run();
  };
  return call;
}
