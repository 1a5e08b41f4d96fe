// Owns the stand-in's transports: files of `dist`, and sessions with event buffers over WebSockets.
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { WebSocketServer, type WebSocket } from "ws";
import { FakeWorld, REALM_ID, type Header } from "./fake-world.ts";

export { AGENT } from "./fake-world.ts";

const DIST = new URL("../dist", import.meta.url).pathname;
const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };

class Session {
  private nextEventId = 1;
  private buffer: { id: number; frames: string[] }[] = [];
  socket: WebSocket | null = null;

  constructor(
    readonly id: string,
    readonly userId: string,
  ) {}

  emit(header: Header, payload: unknown[] = []): void {
    const id = this.nextEventId++;
    const frames = [
      JSON.stringify({ ...header, event_id: id, ...(payload.length > 0 && { frames: payload.length }) }),
      ...payload.map((part) => JSON.stringify(part)),
    ];
    this.buffer.push({ id, frames });
    for (const frame of frames) this.socket?.send(frame);
  }

  resume(socket: WebSocket, received: number): void {
    this.socket?.send(JSON.stringify({ event: "error", error_type: "connection_superseded" }));
    this.socket?.close();
    this.socket = socket;
    this.acknowledge(received);
    for (const { frames } of this.buffer) for (const frame of frames) socket.send(frame);
  }

  acknowledge(received: number): void {
    this.buffer = this.buffer.filter(({ id }) => id > received);
  }
}

function connect(socket: WebSocket, sessions: Map<string, Session>, world: FakeWorld): void {
  let session: Session | null = null;
  let header: Header | null = null;
  let payload: unknown[] = [];
  const answered = new Map<string, true>();
  const refuse = (error_type: string) => {
    socket.send(JSON.stringify({ event: "error", error_type }));
    socket.close();
  };
  const act = (action: Header, parts: unknown[]) => {
    if (action.action === "ping") { socket.send(JSON.stringify({ event: "pong", action_id: action.action_id })); return; }
    if (action.action === "create_session") {
      const user = world.login(action);
      if (!user) { refuse("access_denied"); return; }
      session = new Session(`s${sessions.size + 1}`, user.id);
      sessions.set(session.id, session);
      session.socket = socket;
      session.emit({ event: "session_created", session_id: session.id, ...world.ownUser(user), user_auth: user.auth });
      return;
    }
    if (action.action === "resume_session" && action.session_id) {
      session = sessions.get(action.session_id as string) ?? null;
      if (!session) { refuse("session_not_found"); return; }
      session.resume(socket, action.event_id as number);
      return;
    }
    if (!session) { refuse("session_not_found"); return; }
    if (action.event_id) session.acknowledge(action.event_id as number);
    if (action.action === "close_session") {
      sessions.delete(session.id);
      world.leave(session.userId);
      socket.close();
      return;
    }
    const key = `${session.id}:${String(action.action_id)}`;
    if (action.action_id && answered.has(key)) return;
    answered.set(key, true);
    world.act(session.userId, session.id, action, parts);
  };
  socket.on("message", (data) => {
    const frame = (data as Buffer).toString();
    if (header) payload.push(JSON.parse(frame));
    else if (frame) {
      header = JSON.parse(frame) as Header;
      payload = [];
    }
    if (header && payload.length >= Number(header.frames ?? 0)) {
      const action = header;
      header = null;
      act(action, payload);
    }
  });
  socket.on("close", () => {
    if (session?.socket === socket) session.socket = null;
  });
}

function sendFile(path: string, response: ServerResponse): void {
  const file = join(DIST, path === "/" || path === "/demo/" ? "demo/shop.html" : path.endsWith("/") ? `${path}index.html` : path);
  if (!file.startsWith(DIST) || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
  if (path.startsWith("/console/")) response.setHeader("content-security-policy", "default-src 'self'");
  if (file.endsWith("shop.html")) response.end(readFileSync(file, "utf8").replaceAll("{{realm_id}}", REALM_ID));
  else createReadStream(file).pipe(response);
}

export function serve(port: number): Promise<void> {
  const sessions = new Map<string, Session>();
  const world = new FakeWorld((userIds, event, parts, only) => {
    for (const session of sessions.values()) {
      if (!userIds.includes(session.userId) || (only && only !== session.id)) continue;
      session.emit(event, parts);
    }
  });
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    if (path.startsWith("/files/")) world.files.serve(request, path, response).catch(() => response.destroy());
    else sendFile(path, response);
  });
  const sockets = new WebSocketServer({ server, path: "/v2/socket", handleProtocols: () => "ninchat.com" });
  sockets.on("connection", (socket) => connect(socket, sessions, world));
  return new Promise((resolve) => server.listen(port, resolve));
}
