// Owns a TCP relay that can be cut: Chromium's own offline mode leaves open WebSockets alone.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class BreakableLink {
  private readonly sockets = new Set<Socket>();
  private isCut = false;
  /** Bytes a second from the near end, each connection by itself; none is as fast as it goes. */
  pace: number | undefined;

  private constructor(
    private readonly server: Server,
    /** The far end's address as seen through the relay. */
    readonly url: string,
  ) {}

  static async to(target: string): Promise<BreakableLink> {
    const { hostname, port } = new URL(target);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const link = new BreakableLink(server, `http://localhost:${(server.address() as AddressInfo).port}`);
    server.on("connection", (near) => link.relay(near, () => connect(Number(port || 80), hostname)));
    return link;
  }

  /** Ends every connection and lets no new one through. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private relay(near: Socket, dial: () => Socket): void {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = dial();
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    far.pipe(near);
    near.on("end", () => far.end());
    near.on("data", (chunk: Buffer) => {
      near.pause();
      const wait = this.pace === undefined ? 0 : (chunk.length / this.pace) * 1000;
      far.write(chunk, () => setTimeout(() => near.resume(), wait));
    });
  }
}
