// Owns how long to wait before the next attempt to connect.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** Exponential, with jitter over the upper half so that a crowd of clients spreads after a server's restart. */
export class Backoff {
  private attempt = 0;

  next(): number {
    const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.attempt);
    this.attempt += 1;
    return ceiling * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.attempt = 0;
  }
}
